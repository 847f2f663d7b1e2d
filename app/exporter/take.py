"""From rows to a reading."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby, islice
from math import sqrt
from statistics import NormalDist
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.alerts.tables import ALERT_STATES, SEVERITIES
from app.core.clock import now
from app.exporter import operations, repository
from app.exporter.gates import gate_of
from app.exporter.reading import (
    DURATION_BOUNDS,
    Activity,
    CheckpointInfo,
    Comparison,
    Drift,
    Durations,
    Health,
    Latest,
    MonitorKey,
    Reading,
    WatchedFeature,
)
from app.monitors.page_budget import Budget, quarter_of
from app.monitors.policy import DriftPolicy
from app.retention import repository as stored
from app.verdicts.gate import Outcome
from app.verdicts.tables import COMPARISONS, VERDICTS
from app.webhooks import repository as deliveries

QUANTILES = (0.1, 0.5, 0.9, 0.99)
JUDGED = ("drifted", "stable", "inconclusive")
"""Verdicts on features that the data could decide on: the whole of which drifted is a share."""

UNRESOLVED = tuple(state for state in ALERT_STATES if state != "resolved")

Keys = Mapping[UUID, MonitorKey]


def take_reading(
    session: Session, statement_timeout: float, before: Reading | None = None
) -> Reading:
    """Look at Postgres once, in one consistent, read-only transaction.

    Args:
        statement_timeout: seconds that each statement may take.
        before: an earlier reading. What an evaluation found never changes once it has succeeded:
            those that were read then, for a monitor that has not changed, are not read again.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: Postgres does not answer, or not in time.
    """
    repository.begin(session, statement_timeout)
    rows, total = repository.monitors(session)
    keys = {row.id: MonitorKey(row.model, row.monitor) for row in rows}
    evaluations = repository.latest_evaluations(session, list(keys))
    versions = {row.id: row.version for row in rows}
    latest = _latest(session, evaluations, keys, versions, before)
    only_slow = {entry.evaluation: entry.only_slow for entry in latest}
    newest = {row.monitor_id: row for row in repository.newest_evaluations(session, list(keys))}
    shards = {row.state: row.shards for row in operations.open_shards(session)}
    found = {entry.key: entry for entry in latest}
    models = sorted({key.model for key in keys.values()})
    return Reading(
        latest=latest,
        activity=_activity(
            repository.activity(session, list(keys)),
            keys,
            _page_budgets(session, rows),
            newest,
            {
                keys[monitor_id]: gate_of(row, found.get(keys[monitor_id]), only_slow)
                for monitor_id, row in newest.items()
            },
            {
                (keys[row.monitor_id], row.severity, row.state): row.alerts
                for row in operations.unresolved_alerts(session, list(keys))
            },
            {
                keys[row.monitor_id]: row.registered
                for row in operations.unjudged(session, list(keys))
            },
        ),
        newest_checkpoints=_newest_checkpoints(evaluations, keys),
        aliases=tuple(
            CheckpointInfo(row.model, row.checkpoint, row.digest or "", row.alias)
            for row in repository.aliases(session)
        ),
        registered={row.model: row.registered for row in operations.registered(session, models)},
        outbox_oldest_age=operations.outbox_oldest_age(session),
        shards_oldest_queued_age=operations.shards_oldest_queued_age(session),
        shards={state: shards.get(state, 0) for state in ("queued", "running")},
        webhook_deliveries=deliveries.counts_by_state(session),
        snapshots={
            row.model: (row.snapshots, int(row.bytes))
            for row in stored.sizes(session)
            if row.model in models
        },
        left_out={
            "monitors": total - len(keys),
            "dictionaries": sum(entry.dictionaries_left_out for entry in latest),
        },
    )


def wilson(successes: int, trials: int, alpha: float = 0.05) -> tuple[float, float]:
    """The score interval of a proportion (Wilson 1927).

    Args:
        trials: at least 1.
    """
    z = NormalDist().inv_cdf(1 - alpha / 2)
    share = successes / trials
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def _latest(
    session: Session,
    evaluations: repository.Rows,
    keys: Keys,
    versions: Mapping[UUID, int],
    before: Reading | None,
) -> tuple[Latest, ...]:
    """In order of the monitors' names."""
    known = {
        (entry.evaluation, entry.key, entry.monitor_version): entry
        for entry in (before.latest if before is not None else ())
    }

    def name(row: Any) -> tuple[str, MonitorKey, int]:
        return str(row.id), keys[row.monitor_id], versions[row.monitor_id]

    fresh = [row for row in evaluations if name(row) not in known]
    found = [known[name(row)] for row in evaluations if name(row) in known]
    if fresh:
        found += _found(session, fresh, keys, versions)
    return tuple(sorted(found, key=lambda entry: entry.key.monitor))


def _found(
    session: Session, evaluations: repository.Rows, keys: Keys, versions: Mapping[UUID, int]
) -> list[Latest]:
    ids = [row.id for row in evaluations]
    counted: dict[tuple[UUID, str], dict[str, int]] = defaultdict(dict)
    for row in repository.verdict_counts(session, ids):
        counted[row.evaluation_id, row.comparison][row.verdict] = row.features
    scores = {
        (row.evaluation_id, row.comparison): row.scores
        for row in repository.score_quantiles(session, ids, QUANTILES)
    }
    flagged = repository.flag_counts(session, ids)
    flags = {(row.evaluation_id, row.comparison): (row.paged, row.slow_drift) for row in flagged}
    only_slow = {
        row.evaluation_id: row.only_slow for row in flagged if row.comparison == "baseline"
    }
    stale = {
        (row.evaluation_id, row.dictionary) for row in repository.stale_dictionaries(session, ids)
    }
    features = _by_evaluation(repository.watched_features(session, ids))
    health = _by_evaluation(repository.dictionary_health(session, ids))
    controls = _by_evaluation(repository.controls(session, ids))
    return [
        Latest(
            key=keys[row.monitor_id],
            evaluation=str(row.id),
            checkpoint=row.checkpoint,
            registered=row.registered,
            digest=row.digest or "",
            baseline=row.baseline,
            comparisons=tuple(
                _comparison(
                    name,
                    summary,
                    counted[row.id, name],
                    scores.get((row.id, name)),
                    flags.get((row.id, name), (0, 0)),
                )
                for name in COMPARISONS
                if (summary := _summary_of(row.summary, name)) or (row.id, name) in counted
            ),
            features=tuple(
                WatchedFeature(
                    name=feature.feature,
                    verdict=feature.verdict,
                    firing_ratio=feature.firing_ratio_candidate,
                    concept_auroc=feature.concept_auroc_candidate,
                    drift_score=feature.drift_score,
                    paged=feature.paged,
                    slow_drift=feature.slow_drift,
                    drift=_drift(feature),
                )
                for feature in features[row.id]
            ),
            dictionaries=tuple(
                Health(
                    entry.dictionary,
                    entry.fvu,
                    entry.l0,
                    entry.dead_ratio,
                    stale=(row.id, entry.dictionary) in stale,
                )
                for entry in islice(health[row.id], repository.MAX_DICTIONARIES)
            ),
            controls={entry.control: entry.passed for entry in controls[row.id]},
            monitor_version=versions[row.monitor_id],
            only_slow=only_slow.get(row.id, 0),
            dictionaries_left_out=max(0, len(health[row.id]) - repository.MAX_DICTIONARIES),
        )
        for row in evaluations
    ]


def _drift(row: Any) -> Drift | None:
    """What people are told of a drift; None without one, or where it has no number."""
    told = row.paged or row.verdict == "drifted"
    if not told or row.estimand is None or row.effect is None or not row.margin:
        return None
    return Drift(row.change or "", row.estimand, row.diagnosis or "", abs(row.effect) / row.margin)


def _summary_of(summary: Mapping[str, Any] | None, comparison: str) -> Mapping[str, Any]:
    """What the pipeline wrote of one comparison.

    It counts every feature; of a whole dictionary the table of verdicts holds only the first.
    """
    found = ((summary or {}).get("comparisons") or {}).get(comparison)
    return found if isinstance(found, Mapping) else {}


def _comparison(
    name: str,
    summary: Mapping[str, Any],
    counted: Mapping[str, int],
    scores: list[float] | None,
    flags: tuple[int, int],
) -> Comparison:
    found = summary.get("counts") or counted
    verdicts = {verdict: int(found.get(verdict, 0)) for verdict in VERDICTS}
    ratio = tuple(summary.get(f"drifted_{part}") for part in ("ratio", "lower", "upper"))
    judged = sum(verdicts[verdict] for verdict in JUDGED)
    if None in ratio and judged:
        ratio = (verdicts["drifted"] / judged, *wilson(verdicts["drifted"], judged))
    estimate, lower, upper = ratio
    paged, slow_drift = flags
    return Comparison(
        name=name,
        verdicts=verdicts,
        ratio=None
        if estimate is None or lower is None or upper is None
        else (estimate, lower, upper),
        score_quantiles={str(q): score for q, score in zip(QUANTILES, scores or (), strict=False)}
        | _known_quantiles(summary),
        paged=int(summary.get("paged", paged)),
        slow_drift=int(summary.get("slow_drift", slow_drift)),
        held_by_benign=int((summary.get("stable_by_benign_floor") or {}).get("count", 0)),
    )


def _known_quantiles(summary: Mapping[str, Any]) -> dict[str, float]:
    """Quantiles of all features' scores, where the pipeline wrote them."""
    found = summary.get("drift_score_quantiles") or {}
    return {str(q): found[str(q)] for q in QUANTILES if found.get(str(q)) is not None}


def _page_budgets(session: Session, monitors: repository.Rows) -> dict[UUID, float]:
    """Enabled monitor → the share of its false-page budget that is left in this quarter."""
    enabled = [row for row in monitors if row.enabled]
    quarter = quarter_of(now())
    entries = repository.pages_spent(session, [row.id for row in enabled], quarter)
    spent = {row.monitor_id: row.spent for row in entries}
    return {
        row.id: Budget(
            quarter, DriftPolicy.model_validate(row.policy).pages.alpha, spent.get(row.id, 0.0)
        ).remaining_ratio
        for row in enabled
    }


def _newest_checkpoints(evaluations: repository.Rows, keys: Keys) -> tuple[CheckpointInfo, ...]:
    """Per model, the newest checkpoint that any of its monitors has evaluated."""
    by_model: dict[str, Any] = {}
    for row in sorted(evaluations, key=lambda row: (row.checkpoint_id, row.created_at)):
        by_model[keys[row.monitor_id].model] = row
    return tuple(
        CheckpointInfo(model, row.checkpoint, row.digest or "")
        for model, row in sorted(by_model.items())
    )


def _activity(
    rows: repository.Rows,
    keys: Keys,
    budgets: Mapping[UUID, float],
    newest: Mapping[UUID, Any],
    gates: Mapping[MonitorKey, Outcome],
    alerts: Mapping[tuple[MonitorKey, str, str], int],
    unjudged: Mapping[MonitorKey, datetime],
) -> tuple[Activity, ...]:
    failed = {
        keys[monitor_id]: row.ended == "failed" for monitor_id, row in newest.items() if row.ended
    }
    left = {keys[monitor_id]: ratio for monitor_id, ratio in budgets.items()}
    ordered = sorted(rows, key=lambda row: (keys[row.monitor_id].monitor, row.state))
    by_monitor = {
        key: list(states) for key, states in groupby(ordered, key=lambda row: keys[row.monitor_id])
    }
    return tuple(
        Activity(
            key=key,
            page_budget_remaining=left.get(key),
            newest_failed=failed.get(key),
            gate=gates.get(key),
            alerts={
                (severity, state): alerts.get((key, severity, state), 0)
                for severity in SEVERITIES
                for state in UNRESOLVED
            },
            unjudged_since=unjudged.get(key),
            states={row.state: row.evaluations for row in by_monitor.get(key, ())},
            durations={
                row.state: Durations(
                    counts=(
                        *(getattr(row, f"le_{i}") for i in range(len(DURATION_BOUNDS))),
                        row.timed,
                    ),
                    total=float(row.seconds),
                )
                for row in by_monitor.get(key, ())
                if row.state in ("succeeded", "failed", "cancelled") and row.timed
            },
            last_success=next(
                (row.last_finished for row in by_monitor.get(key, ()) if row.state == "succeeded"),
                None,
            ),
        )
        for key in sorted(keys.values(), key=lambda key: key.monitor)
    )


def _by_evaluation(rows: Iterable[Any]) -> dict[UUID, list[Any]]:
    grouped: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        grouped[row.evaluation_id].append(row)
    return grouped
