"""From an evaluation's rows to the parts of its report that are not about one feature."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.core.digests import canonical_json
from app.evaluations.repository import EvaluationView
from app.evaluations.schemas import State
from app.monitors.policy import DriftPolicy
from app.repairs.tables import Repair as RepairRow
from app.reports.features import OUTCOME
from app.reports.model import ComparisonLine, DictionaryLine, Feature, Repair, Subject
from app.reports.parts import ControlLine
from app.reports.words import CONTROLS
from app.verdicts.schemas import Comparison
from app.verdicts.tables import Verdict

_NAMED = 20
_JUDGED = ("drifted", "stable", "inconclusive")


def make_subject(view: EvaluationView) -> Subject:
    """What was evaluated."""
    evaluation, names = view.evaluation, view.names
    return Subject(
        evaluation=evaluation.id,
        model=names.model,
        monitor=names.monitor,
        checkpoint=names.checkpoint,
        baseline=names.baseline,
        previous=names.previous,
        corpus=names.corpus,
        feature_set=names.feature_set,
        feature_set_version=names.feature_set_version,
        dictionary=names.dictionary,
        state=cast(State, evaluation.state),
        created_at=evaluation.created_at,
        started_at=evaluation.started_at,
        finished_at=evaluation.finished_at,
    )


def comparison_line(
    view: EvaluationView, comparison: Comparison, rows: Sequence[Verdict]
) -> ComparisonLine | None:
    """One comparison over all its features; None where it was not made.

    The summary counts every feature; of a whole dictionary only the first have rows.
    """
    if view.evaluation.state != "succeeded":
        return None
    summary = ((view.evaluation.summary or {}).get("comparisons") or {}).get(comparison) or {}
    counts: Mapping[str, int] = summary.get("counts") or Counter(row.verdict for row in rows)
    counts = {verdict: int(n) for verdict, n in sorted(counts.items()) if n}
    if not counts and not summary:
        return None
    leading = Counter(row.change for row in rows if row.verdict == "drifted" and row.change)
    changes: Mapping[str, int] = summary.get("changes") or leading
    judged = sum(counts.get(verdict, 0) for verdict in _JUDGED)
    return ComparisonLine.model_validate(
        {
            "comparison": comparison,
            "checkpoint": view.names.baseline if comparison == "baseline" else view.names.previous,
            "features": sum(counts.values()),
            "judged": judged,
            "counts": counts,
            "changes": {kind: int(n) for kind, n in sorted(changes.items()) if n},
            "drifted_ratio": summary.get("drifted_ratio"),
            "drifted_lower": summary.get("drifted_lower"),
            "drifted_upper": summary.get("drifted_upper"),
            "paged": int(summary.get("paged", sum(row.paged for row in rows))),
            "slow_drift": int(summary.get("slow_drift", sum(row.slow_drift for row in rows))),
            "tokens": summary.get("tokens"),
            "special_tokens": summary.get("special_tokens"),
            "outlier_tokens": summary.get("outlier_tokens"),
            "invalid_reason": summary.get("invalid_reason"),
            "notes": tuple(str(note) for note in summary.get("notes") or ()),
        }
    )


def control_lines(
    view: EvaluationView, policy: DriftPolicy, features: Sequence[Feature]
) -> tuple[ControlLine, ...]:
    """Every control there is: what it found, or that the policy leaves it out."""
    rows = {row.control: row for row in view.controls}
    lines = []
    for name, done in CONTROLS.items():
        failed = [f.name for f in features if (name, "failed") in _outcomes(f)]
        row = rows.get(name)
        outcome, detail, figures = "not_told", "It has left no figures.", dict[str, Any]()
        if row is not None:
            outcome, detail, figures = OUTCOME[row.passed], row.detail, row.figures
        elif getattr(policy.controls, name, None) is False:
            outcome, detail = "left_out", "The monitor's policy leaves it out."
        lines.append(
            ControlLine.model_validate(
                {
                    "control": name,
                    "done": done,
                    "outcome": outcome,
                    "detail": detail,
                    "failed_for": tuple(failed[:_NAMED]),
                    "figures": figures,
                }
            )
        )
    return tuple(lines)


def dictionary_lines(view: EvaluationView) -> tuple[DictionaryLine, ...]:
    """Health of each dictionary on each side, by name, the baseline first."""
    order = ("baseline", "previous", "candidate")
    return tuple(
        DictionaryLine(
            role=row.role,
            dictionary=row.dictionary,
            fvu=row.fvu,
            l0=row.l0,
            dead_ratio=row.dead_ratio,
        )
        for row in sorted(view.health, key=lambda row: (row.dictionary, order.index(row.role)))
    )


def make_repair(row: RepairRow | None) -> Repair | None:
    """The proposal with the calls that decide on it."""
    if row is None or not (row.changes or row.dictionaries):
        return None
    decision = canonical_json({"by": "YOUR NAME", "note": "WHY"}).decode()
    return Repair(
        repair=row.id,
        changed=tuple(change["feature"] for change in row.changes),
        dictionaries=tuple(str(one["name"]) for one in row.dictionaries),
        read=f"curl $API/repairs/{row.id}",
        accept=f"curl --json '{decision}' $API/repairs/{row.id}:accept",
        reject=f"curl --json '{decision}' $API/repairs/{row.id}:reject",
    )


def _outcomes(feature: Feature) -> set[tuple[str, str]]:
    return {(control.control, control.outcome) for control in feature.controls}
