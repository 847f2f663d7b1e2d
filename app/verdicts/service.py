"""What an evaluation found, gathered for people, histories and the gate."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args
from uuid import UUID

from sqlalchemy.orm import Session

from app.core.errors import InvalidInputError
from app.evaluations.tables import Evaluation
from app.monitors.baselines import resolve_baselines
from app.monitors.policy import DriftPolicy
from app.monitors.repository import enabled_monitors_of
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Model
from app.verdicts import repository
from app.verdicts.gate import NAMED_FEATURES, Standing, decide
from app.verdicts.histories import EvaluationLine
from app.verdicts.repository import Flags, Named
from app.verdicts.schemas import (
    Comparison,
    ComparisonOut,
    GateOut,
    MonitorHistoryItem,
    ReasonOut,
    StandingOut,
)

_NOBODY = Named()
_FIGURES = frozenset({"counts", "paged", "slow_drift"})
"""What the pipeline has counted of each comparison, over all features."""


def gate_of(session: Session, model: Model, checkpoint: Checkpoint) -> GateOut:
    """The gate's answer as things are now."""
    return gates_of(session, [(model, checkpoint)])[checkpoint.id]


def gates_of(session: Session, asked: Sequence[tuple[Model, Checkpoint]]) -> dict[UUID, GateOut]:
    """Checkpoint → the gate's answer as things are now.

    As many queries for one as for a thousand.

    Args:
        asked: checkpoints, each with its model.
    """
    monitors = enabled_monitors_of(session, {model.id for model, _ in asked})
    newest = repository.newest_evaluations(session, [checkpoint.id for _, checkpoint in asked])
    found = [
        evaluation
        for model, checkpoint in asked
        for monitor in monitors.get(model.id, ())
        if (evaluation := newest.get((checkpoint.id, monitor.id))) is not None
    ]
    ids = [evaluation.id for evaluation in found]
    counted = repository.verdict_counts(session, _without_figures(found))
    controls = repository.failed_controls(session, ids)
    named = repository.named_features(session, ids, NAMED_FEATURES)
    names = repository.baseline_names(session, ids)
    models = {model.id: model for model, _ in asked}
    baselines = resolve_baselines(
        session, [(monitor, models[model]) for model, each in monitors.items() for monitor in each]
    )
    answers = {}
    for model, checkpoint in asked:
        standings = []
        moved = {}
        for monitor in monitors.get(model.id, ()):
            evaluation = newest.get((checkpoint.id, monitor.id))
            baseline = baselines[monitor.id]
            if evaluation is None:
                standings.append(_not_evaluated(monitor, baseline))
            else:
                moved[monitor.name] = _baseline_since(baseline, evaluation)
                standings.append(
                    _standing(
                        monitor,
                        evaluation,
                        names[evaluation.id],
                        _counts(evaluation, "baseline", counted),
                        controls.get(evaluation.id, ()),
                        named.get(evaluation.id, _NOBODY),
                    )
                )
        answers[checkpoint.id] = _answer(model, checkpoint, standings, moved)
    return answers


def _answer(
    model: Model,
    checkpoint: Checkpoint,
    standings: Sequence[Standing],
    moved: Mapping[str, Sequence[str]],
) -> GateOut:
    outcome, reasons = decide(standings)
    return GateOut(
        gate=outcome,
        model=model.name,
        checkpoint=checkpoint.name,
        reasons=[ReasonOut.model_validate(reason) for reason in reasons],
        monitors=[
            StandingOut(
                monitor=standing.monitor,
                evaluation=standing.evaluation,
                baseline=standing.baseline,
                state=standing.state,
                features=standing.features,
                counts=dict(standing.counts),
                drifted_ratio=standing.drifted_ratio,
                max_drifted_ratio=standing.policy.max_drifted_ratio,
                unproven_ratio=standing.unproven_ratio,
                max_unproven_ratio=standing.policy.max_unproven_ratio,
                failed_controls=list(standing.failed_controls),
                pages=list(standing.pages),
                slow_drift=list(standing.slow_drift),
                held_by_benign=list(standing.held_by_benign),
                notes=[*standing.notes, *moved.get(standing.monitor, ())],
            )
            for standing in standings
        ],
    )


def present_history(session: Session, lines: Sequence[EvaluationLine]) -> list[MonitorHistoryItem]:
    """A monitor's history as it is answered."""
    ids = [line.evaluation.id for line in lines]
    bare = _without_figures([line.evaluation for line in lines])
    counted = repository.verdict_counts(session, bare)
    flags = repository.flag_counts(session, bare)
    controls = repository.failed_controls(session, ids)
    return [
        MonitorHistoryItem(
            evaluation=line.evaluation.id,
            checkpoint=line.checkpoint,
            baseline=line.baseline,
            previous=line.previous,
            feature_set_version=line.feature_set_version,
            state=line.evaluation.state,
            created_at=line.evaluation.created_at,
            finished_at=line.evaluation.finished_at,
            comparisons=_comparisons(line.evaluation, counted, flags),
            failed_controls=controls.get(line.evaluation.id, []),
        )
        for line in lines
    ]


def _not_evaluated(monitor: Monitor, baseline: Checkpoint | InvalidInputError) -> Standing:
    return Standing(
        monitor.name,
        DriftPolicy.model_validate(monitor.policy).gate,
        trouble=_why_not_evaluated(baseline),
    )


def _standing(
    monitor: Monitor,
    evaluation: Evaluation,
    baseline: str,
    counts: Mapping[str, int],
    failed_controls: Sequence[str],
    named: Named,
) -> Standing:
    held = _summary(evaluation, "baseline").get("stable_by_benign_floor") or {}
    return Standing(
        monitor=monitor.name,
        policy=DriftPolicy.model_validate(evaluation.policy).gate,
        evaluation=evaluation.id,
        baseline=baseline,
        state=evaluation.state,
        trouble=str((evaluation.error or {}).get("detail", "")),
        counts=counts,
        failed_controls=failed_controls,
        drifted=named.drifted,
        unproven=named.unproven,
        untrusted=named.untrusted,
        slow_drift=named.slow_drift,
        pages=named.pages,
        held_by_benign=[str(name) for name in held.get("features", ())],
        held_count=int(held.get("count", 0)),
        benign=[str(name) for name in held.get("checkpoints", ())],
        notes=[str(note) for note in _summary(evaluation, "baseline").get("notes", ())],
    )


def _baseline_since(now: Checkpoint | InvalidInputError, evaluation: Evaluation) -> list[str]:
    """What has become of the monitor's baseline since the evaluation was accepted."""
    again = "the answer stands for the one it was decided against; POST /v1/evaluations asks anew"
    if isinstance(now, InvalidInputError):
        return [f"{now.detail}; {again}"]
    if now.id == evaluation.baseline_checkpoint_id:
        return []
    return [f"The monitor's baseline is {now.name!r} by now; {again}."]


def _why_not_evaluated(baseline: Checkpoint | InvalidInputError) -> str:
    again = 'POST /v1/evaluations with {"monitor": …, "checkpoint": …} starts it'
    if isinstance(baseline, InvalidInputError):
        return f"no evaluation was started: {baseline.detail}; then {again}"
    return (
        "no evaluation was started: the monitor is newer than the checkpoint, or was disabled or "
        f"without a baseline when it was registered; {again}"
    )


def _summary(evaluation: Evaluation, comparison: str) -> Mapping[str, Any]:
    found = ((evaluation.summary or {}).get("comparisons") or {}).get(comparison)
    return found if isinstance(found, Mapping) else {}


def _without_figures(evaluations: Sequence[Evaluation]) -> list[UUID]:
    """Those whose summary does not tell what else must be counted row by row."""
    return [evaluation.id for evaluation in evaluations if not _has_figures(evaluation)]


def _has_figures(evaluation: Evaluation) -> bool:
    comparisons = (evaluation.summary or {}).get("comparisons") or {}
    return bool(comparisons) and all(
        set(_summary(evaluation, comparison)) >= _FIGURES for comparison in comparisons
    )


def _counts(
    evaluation: Evaluation,
    comparison: str,
    counted: Mapping[tuple[UUID, str], Mapping[str, int]],
) -> Mapping[str, int]:
    # The summary counts every feature; of a whole dictionary only the first have rows.
    found = _summary(evaluation, comparison).get("counts") or counted.get(
        (evaluation.id, comparison), {}
    )
    return {verdict: int(count) for verdict, count in found.items() if count}


def _comparisons(
    evaluation: Evaluation,
    counted: Mapping[tuple[UUID, str], Mapping[str, int]],
    flags: Mapping[tuple[UUID, str], Flags],
) -> dict[Comparison, ComparisonOut]:
    sides: tuple[Comparison, ...] = get_args(Comparison)
    found = {side: _comparison(evaluation, side, counted, flags) for side in sides}
    return {side: line for side, line in found.items() if line is not None}


def _comparison(
    evaluation: Evaluation,
    comparison: str,
    counted: Mapping[tuple[UUID, str], Mapping[str, int]],
    flags: Mapping[tuple[UUID, str], Flags],
) -> ComparisonOut | None:
    counts = _counts(evaluation, comparison, counted)
    summary = _summary(evaluation, comparison)
    if not counts and not summary:
        return None
    flagged = flags.get((evaluation.id, comparison), Flags())
    return ComparisonOut(
        features=sum(counts.values()),
        counts=dict(counts),
        drifted_ratio=summary.get("drifted_ratio"),
        drifted_lower=summary.get("drifted_lower"),
        drifted_upper=summary.get("drifted_upper"),
        paged=int(summary.get("paged", flagged.paged)),
        slow_drift=int(summary.get("slow_drift", flagged.slow_drift)),
    )
