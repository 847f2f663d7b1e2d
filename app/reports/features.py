"""From a stored verdict to one feature of a report."""

from collections.abc import Mapping
from typing import Any, cast

from app.repairs.tables import Repair
from app.reports import definitions, monitoring
from app.reports.estimates import estimate_lines, held_out_lines
from app.reports.material import Material
from app.reports.model import Behaviour, Feature, FeatureRepair
from app.reports.parts import (
    BaselineLine,
    Baselines,
    Causal,
    Diagnosis,
    FeatureControl,
    HistoryLine,
    Page,
    RobustnessLine,
    Step,
    Trend,
)
from app.reports.repository import Past
from app.reports.words import BASELINES, CONTROLS, DIAGNOSES
from app.verdicts.schemas import Change, VerdictName
from app.verdicts.tables import Verdict

OUTCOME = {True: "held", False: "failed", None: "not_told"}


def make_feature(row: Verdict, material: Material) -> Feature:
    """A feature with its verdict, its evidence and its card."""
    registered = material.registered.get(row.feature)
    definition = registered.definition if registered is not None else None
    passages = tuple(material.passages.get(row.feature, ()))
    made = Feature(
        name=row.feature,
        kind=registered.kind if registered else ("sae_latent" if material.dictionary else None),
        definition=definitions.describe(definition)
        or definitions.latent(row.feature, material.dictionary),
        definition_digest=row.definition_digest,
        concept=registered.concept if registered is not None else None,
        description=(definition or {}).get("description"),
        verdict=cast(VerdictName, row.verdict),
        change=cast(Change | None, row.change),
        changes=tuple(row.changes),
        reason=row.reason,
        estimand=row.estimand,
        estimates=estimate_lines(row, material.policy.min_active_documents),
        p_drifted=row.p_drifted,
        p_stable=row.p_stable,
        q_drifted=row.q_drifted,
        q_stable=row.q_stable,
        sign_test_p=row.sign_test_p,
        behaviour=Behaviour.model_validate(row, from_attributes=True),
        controls=_controls(row.controls),
        baselines=_baselines(row.baselines),
        causal=_causal(row.causal, row.causal_verdict),
        robustness=_robustness(row.robustness),
        diagnosis=_diagnosis(row),
        repair=_repair(row.feature, material.repair),
        trend=_trend(row.trend),
        page=_page(row.pages),
        paged=row.paged,
        slow_drift=row.slow_drift,
        step=_step(material.steps.get(row.feature)),
        passages=passages,
        passages_missing=None if passages else material.no_passages,
        history=tuple(_history(row, one) for one in material.past.get(row.feature, ())),
        what_breaks_it=(),
        monitoring=(),
    )
    return made.model_copy(
        update={
            "what_breaks_it": tuple(monitoring.what_breaks(made)),
            "monitoring": tuple(monitoring.suggestions(made, material)),
        }
    )


def _controls(found: Mapping[str, Any] | None) -> tuple[FeatureControl, ...]:
    known = list(CONTROLS)
    names = sorted(found or {}, key=lambda n: (known.index(n) if n in known else len(known), n))
    return tuple(
        FeatureControl.model_validate(
            {
                "control": name,
                "outcome": OUTCOME[(found or {})[name].get("passed")],
                "detail": str((found or {})[name].get("detail") or ""),
            }
        )
        for name in names
    )


def _baselines(found: Mapping[str, Any] | None) -> Baselines | None:
    if not found:
        return None
    own = found.get("feature") or {}
    lines = []
    for name, words in BASELINES.items():
        one = found.get(name)
        if one:
            figures = {f: one.get(f) for f in BaselineLine.model_fields if f != "baseline"}
            lines.append(BaselineLine(baseline=words, **figures))
    return Baselines(
        concept=found.get("concept"),
        earns_keep=found.get("earns_keep"),
        reason=str(found.get("reason") or ""),
        auroc=own.get("auroc"),
        lower=own.get("lower"),
        upper=own.get("upper"),
        margin=found.get("margin"),
        tokens=found.get("tokens"),
        lines=tuple(lines),
    )


def _causal(found: Mapping[str, Any] | None, verdict: str | None) -> Causal | None:
    if not found:
        return None
    drift = found.get("drift") or {}
    steering = found.get("steering_cosine") or {}
    return Causal(
        verdict=str(verdict or found.get("verdict") or "not_shown"),
        reason=str(found.get("reason") or ""),
        effect=found.get("effect"),
        lower=found.get("lower"),
        upper=found.get("upper"),
        ratio=found.get("ratio"),
        ratio_lower=found.get("ratio_lower"),
        ratio_upper=found.get("ratio_upper"),
        change=drift.get("reason"),
        changed=drift.get("changed"),
        steering_cosine=steering.get("cosine"),
        steering_lower=steering.get("lower"),
        steering_upper=steering.get("upper"),
        steering=steering.get("reason"),
    )


def _robustness(found: Mapping[str, Any] | None) -> tuple[RobustnessLine, ...]:
    lines = []
    for name in sorted(found or {}, key=lambda n: (n != "all", n)):
        one = (found or {})[name]
        if isinstance(one, Mapping):
            figures = {f: one.get(f) for f in ("baseline", "candidate")}
            pairs = int(one.get("pairs") or 0)
            lines.append(RobustnessLine(perturbation=name, pairs=pairs, **figures))
    return tuple(lines)


def _diagnosis(row: Verdict) -> Diagnosis | None:
    if row.diagnosis is None:
        return None
    evidence = row.diagnosis_evidence or {}
    return Diagnosis(
        label=row.diagnosis,
        meaning=DIAGNOSES[row.diagnosis],
        reason=str(evidence.get("reason") or ""),
        no_repair=(evidence.get("figures") or {}).get("no_repair"),
    )


def _repair(feature: str, repair: Repair | None) -> FeatureRepair | None:
    for change in repair.changes if repair is not None else ():
        if repair is not None and change["feature"] == feature:
            held_out = (change.get("evidence") or {}).get("held_out") or {}
            return FeatureRepair(
                repair=repair.id,
                old=definitions.describe(change.get("old")),
                new=definitions.describe(change.get("new")),
                reason=str(change.get("reason") or ""),
                documents=held_out.get("documents"),
                held_out=held_out_lines(held_out.get("estimates") or {}),
            )
    return None


def _trend(found: Mapping[str, Any] | None) -> Trend | None:
    if not found:
        return None
    return Trend(
        alarm=bool(found.get("alarm")),
        estimand=found.get("estimand"),
        level=found.get("level"),
        limit=found.get("limit"),
        checkpoints=found.get("checkpoints"),
    )


def _page(found: Mapping[str, Any] | None) -> Page | None:
    if not found:
        return None
    return Page(alpha=found.get("alpha"), critical=found.get("critical"))


def _step(row: Verdict | None) -> Step | None:
    return Step.model_validate(row, from_attributes=True) if row is not None else None


def _history(now: Verdict, past: Past) -> HistoryLine:
    row = past.verdict
    return HistoryLine(
        evaluation=past.evaluation.id,
        checkpoint=past.checkpoint,
        baseline=past.baseline,
        finished_at=past.evaluation.finished_at,
        verdict=cast(VerdictName, row.verdict),
        change=row.change,
        estimand=row.estimand,
        effect=row.effect,
        lower=row.lower,
        upper=row.upper,
        margin=row.margin,
        drift_score=row.drift_score,
        paged=row.paged,
        slow_drift=row.slow_drift,
        same_definition=row.definition_digest == now.definition_digest,
    )
