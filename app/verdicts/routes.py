"""Verdicts of an evaluation, histories of monitors and features, and the gate of a checkpoint."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.core.dependencies import AppArtifacts, AppDatabase, AppWaiting
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.core.problems import PROBLEM_RESPONSES
from app.core.schemas import Page
from app.core.waiting import Wait
from app.evaluations.ledger import OPEN
from app.evaluations.service import find_state
from app.monitors.service import find_monitor
from app.registry.definitions import NAME_PATTERN, Name
from app.registry.paths import CheckpointName, ModelName, MonitorName
from app.registry.service.feature_sets import find_feature
from app.registry.service.models import find_checkpoint, find_model
from app.verdicts import histories, passages, repository, service
from app.verdicts.histories import HistoryPosition
from app.verdicts.passages_schemas import PassagesOut
from app.verdicts.repository import VerdictFilter, VerdictPosition
from app.verdicts.schemas import (
    CausalVerdict,
    Change,
    Comparison,
    Diagnosis,
    EarnsKeep,
    FeatureHistoryItem,
    GateOut,
    MonitorHistoryItem,
    Sort,
    VerdictName,
    VerdictOut,
)
from app.verdicts.series_schemas import SeriesPoint

MAX_POINTS = 1000
"""A point is a twentieth of a verdict with all that it rests on."""

router = APIRouter(tags=["verdicts"], responses=PROBLEM_RESPONSES)


@router.get("/evaluations/{evaluation}/verdicts")
def list_verdicts(
    evaluation: UUID,
    database: AppDatabase,
    verdict: Annotated[list[VerdictName], Query(max_length=6)] = [],  # noqa: B006 - FastAPI copies
    change: Annotated[list[Change], Query(max_length=5)] = [],  # noqa: B006
    diagnosis: Annotated[list[Diagnosis], Query(max_length=6)] = [],  # noqa: B006
    feature: Annotated[list[Name], Query(max_length=100)] = [],  # noqa: B006
    comparison: Comparison | None = None,
    earns_keep: Annotated[list[EarnsKeep], Query(max_length=3)] = [],  # noqa: B006
    causal_verdict: Annotated[list[CausalVerdict], Query(max_length=4)] = [],  # noqa: B006
    paged: bool | None = None,
    slow_drift: bool | None = None,
    token_level: bool | None = None,
    sort: Annotated[
        Sort, Query(description="The worst first by effect in margins or by drift score, or A to Z")
    ] = "effect",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[VerdictOut]:
    """Verdicts of an evaluation; several values of one filter mean any of them."""
    after = decode_cursor(cursor, VerdictPosition)
    which = VerdictFilter(
        verdicts=verdict,
        changes=change,
        diagnoses=diagnosis,
        features=feature,
        comparison=comparison,
        earns_keep=earns_keep,
        causal_verdicts=causal_verdict,
        paged=paged,
        slow_drift=slow_drift,
        token_level=token_level,
    )
    with database.unit_of_work() as session:
        find_state(session, evaluation)
        rows = repository.list_verdicts(
            session, evaluation, which, sort=sort, after=after, limit=limit
        )
    page, following = make_page(
        rows, limit, lambda row: VerdictPosition(row[1], row[0].feature, row[0].comparison)
    )
    return Page(items=[VerdictOut.model_validate(row) for row, _ in page], next_cursor=following)


@router.get("/evaluations/{evaluation}/passages")
def list_passages(
    evaluation: UUID,
    database: AppDatabase,
    artifacts: AppArtifacts,
    comparison: Comparison = "baseline",
    feature: Annotated[list[Name], Query(max_length=100)] = [],  # noqa: B006
) -> PassagesOut:
    """Where in the corpus features changed most, with the activations before and after.

    Of the watchlist and the most pressing features, at most 200; illustrations, not evidence.
    """
    with database.unit_of_work() as session:
        find_state(session, evaluation)
        corpus = passages.corpus_of(session, evaluation)
    return PassagesOut(
        items=passages.read_passages(artifacts, evaluation, corpus, comparison, feature)
    )


@router.get("/monitors/{monitor}/history")
def monitor_history(
    monitor: MonitorName, database: AppDatabase, cursor: Cursor = None, limit: Limit = 50
) -> Page[MonitorHistoryItem]:
    """Evaluations of a monitor with their verdict counts, newest first."""
    after = decode_cursor(cursor, UUID)
    with database.unit_of_work() as session:
        found = find_monitor(session, monitor)
        rows = histories.monitor_history(session, found.monitor.id, after, limit)
        page, following = make_page(rows, limit, lambda line: line.evaluation.id)
        return Page(items=service.present_history(session, page), next_cursor=following)


@router.get("/features/{feature}/history")
def feature_history(
    feature: UUID,
    database: AppDatabase,
    monitor: Annotated[str | None, Query(pattern=NAME_PATTERN)] = None,
    comparison: Comparison | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[FeatureHistoryItem]:
    """Verdicts on a feature over checkpoints, and over versions of its set, newest first."""
    after = decode_cursor(cursor, HistoryPosition)
    with database.unit_of_work() as session:
        find_feature(session, feature)
        rows = histories.feature_history(
            session, feature, monitor=monitor, comparison=comparison, after=after, limit=limit
        )
    page, following = make_page(
        rows,
        limit,
        lambda line: HistoryPosition(line.verdict.evaluation_id, line.verdict.comparison),
    )
    return Page(
        items=[FeatureHistoryItem.model_validate(line) for line in page], next_cursor=following
    )


@router.get("/features/{feature}/series")
def feature_series(
    feature: UUID,
    database: AppDatabase,
    monitor: Annotated[str | None, Query(pattern=NAME_PATTERN)] = None,
    comparison: Comparison | None = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=MAX_POINTS, description="Points a page")] = MAX_POINTS,
) -> Page[SeriesPoint]:
    """A feature's line over checkpoints, newest first: its history without the evidence."""
    after = decode_cursor(cursor, HistoryPosition)
    with database.unit_of_work() as session:
        find_feature(session, feature)
        rows = histories.feature_series(
            session, feature, monitor=monitor, comparison=comparison, after=after, limit=limit
        )
    page, following = make_page(
        rows, limit, lambda row: HistoryPosition(row.evaluation, row.comparison)
    )
    return Page(items=[SeriesPoint.model_validate(row) for row in page], next_cursor=following)


@router.get("/models/{model}/checkpoints/{checkpoint}/gate", tags=["gate"])
def gate(
    model: ModelName,
    checkpoint: CheckpointName,
    database: AppDatabase,
    waiting: AppWaiting,
    wait: Wait = None,
) -> GateOut:
    """May this checkpoint go out? With `wait`, answered when it is decided or the time is up."""
    with database.unit_of_work() as session:
        found = find_model(session, model)
        row = find_checkpoint(session, found, checkpoint)

    def any_open() -> bool:
        with database.unit_of_work() as session:
            return any(state in OPEN for state in repository.newest_states(session, row.id))

    waiting.until(lambda is_open: not is_open, any_open, wait)
    with database.unit_of_work() as session:
        return service.gate_of(session, found, row)
