"""The view-model of an evaluation's report, built from the database and the artifact store.

Nothing is asked of the clock, of settings, or of what happened after the evaluation had ended: not
of later evaluations, nor of what people decided on its repair or its alerts. The same evaluation
gives the same report.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.core.artifacts import ArtifactStore
from app.core.errors import NotFoundError
from app.evaluations.repository import EvaluationView
from app.evaluations.service import find_view
from app.monitors.policy import DriftPolicy
from app.registry.stored import DocumentsError
from app.registry.tables import Corpus
from app.reports import repository
from app.reports.evaluation import (
    comparison_line,
    control_lines,
    dictionary_lines,
    make_repair,
    make_subject,
)
from app.reports.features import make_feature
from app.reports.findings import Findings
from app.reports.headline import headline
from app.reports.interventions import interventions
from app.reports.material import Material
from app.reports.model import Feature, FeatureLine, Report
from app.reports.parts import Passage
from app.reports.provenance import make_provenance
from app.reports.repository import Past
from app.reports.sentences import answers
from app.verdicts.passages import read_passages
from app.verdicts.tables import Verdict

DETAILED = 200
"""Features with all their evidence; of more, the others are lines of a table."""
LINES = 2000
HISTORY = 12
"""Earlier evaluations of the monitor in a feature's history."""
_PRESSING = ("drifted", "untrusted", "invalid", "inconclusive", "insufficient", "stable")
_STRONGEST = 2
"""Of what has not changed, some passages show what it reads."""
_NOWHERE = "It fires nowhere in the corpus, or was not among the features that are kept."


def build_report(session: Session, store: ArtifactStore, evaluation_id: UUID) -> Report:
    """The report of an evaluation in whatever state.

    Raises:
        NotFoundError: there is no such evaluation.
    """
    view = find_view(session, evaluation_id)
    evaluation = view.evaluation
    policy = DriftPolicy.model_validate(evaluation.policy)
    corpus = repository.corpus_of(session, evaluation.corpus_id)
    rows = repository.verdict_rows(session, evaluation_id)
    pinned = sorted((row for row in rows if row.comparison == "baseline"), key=_pressing)
    shown = pinned[:DETAILED]
    material = _material(session, store, view, policy, corpus, shown, rows)
    features = tuple(make_feature(row, material) for row in shown)
    summary = evaluation.summary or {}
    compared = comparison_line(view, "baseline", pinned)
    found = Findings(
        subject=make_subject(view),
        policy=policy,
        features=features,
        comparison=compared,
        previous=comparison_line(
            view, "previous", [row for row in rows if row.comparison == "previous"]
        ),
        controls=control_lines(view, policy, features) if compared is not None else (),
        dictionaries=dictionary_lines(view),
        repair=make_repair(material.repair),
        trouble=str((evaluation.error or {}).get("detail") or ""),
        progress=(view.work.done, view.work.total),
        step=evaluation.step,
        held=_summary(summary, "baseline").get("stable_by_benign_floor") or {},
        diagnosis_note=summary.get("diagnosis"),
        perturbed=bool(corpus.perturbations) or any(f.robustness for f in features),
        labelled=frozenset(corpus.concepts),
    )
    others = [_line(row) for row in pinned[DETAILED : DETAILED + LINES]]
    listed = len(features) + len(others)
    total = compared.features if compared is not None else 0
    return Report(
        subject=found.subject,
        headline=headline(found),
        answers=answers(found),
        controls=tuple(found.controls),
        comparisons=tuple(c for c in (found.comparison, found.previous) if c is not None),
        dictionaries=tuple(found.dictionaries),
        drifted=_names(features, "drifted"),
        stable=_names(features, "stable"),
        unjudged=_names(features, "untrusted", "invalid", "inconclusive", "insufficient"),
        features=features,
        others=tuple(others),
        left_out=max(0, total - listed),
        repair=found.repair,
        interventions=interventions(found),
        provenance=make_provenance(
            view,
            policy,
            corpus,
            repository.snapshots(session, evaluation_id),
            set_digest=repository.version_of(session, evaluation.feature_set_version_id).digest
            if evaluation.feature_set_version_id is not None
            else None,
            registered=repository.dictionaries(session, _dictionary_ids(view, material)),
            causal=[feature.name for feature in features if feature.causal is not None],
        ),
    )


def _material(
    session: Session,
    store: ArtifactStore,
    view: EvaluationView,
    policy: DriftPolicy,
    corpus: Corpus,
    shown: Sequence[Verdict],
    rows: Sequence[Verdict],
) -> Material:
    evaluation = view.evaluation
    registered = {}
    if evaluation.feature_set_version_id is not None:
        found = repository.feature_rows(session, evaluation.feature_set_version_id)
        registered = {row.name: row for row in found}
    names = [row.feature for row in shown]
    past: dict[str, list[Past]] = {}
    if names:
        for one in repository.history(session, evaluation, names, HISTORY + 1):
            if one.evaluation.id != evaluation.id:
                past.setdefault(one.verdict.feature, []).append(one)
    passages, no_passages = _passages(store, evaluation.id, corpus, shown)
    return Material(
        policy=policy,
        dictionary=view.names.dictionary,
        registered=registered,
        steps={row.feature: row for row in rows if row.comparison == "previous"},
        past=past,
        passages=passages,
        no_passages=no_passages,
        repair=repository.repair_of(session, evaluation.id),
    )


def _passages(
    store: ArtifactStore, evaluation: UUID, corpus: Corpus, shown: Sequence[Verdict]
) -> tuple[Mapping[str, Sequence[Passage]], str]:
    """Passages by feature, and why a feature may have none."""
    if not shown:
        return {}, ""
    moved = {row.feature for row in shown if row.verdict != "stable"}
    names = [row.feature for row in shown]
    try:
        kept = read_passages(store, evaluation, corpus, "baseline", names)
    except (NotFoundError, DocumentsError) as error:
        return {}, error.detail
    found = {
        one.feature: [Passage.model_validate(passage.model_dump()) for passage in one.passages]
        for one in kept
    }
    for name, passages in found.items():
        # Where it was strongest is often where it changed most; once is enough.
        changed = {(p.document, p.start) for p in passages if p.kind == "changed"}
        if name in moved:
            found[name] = [
                p for p in passages if p.kind == "changed" or (p.document, p.start) not in changed
            ]
    for name in found.keys() - moved:
        found[name] = [p for p in found[name] if p.kind == "strongest"][:_STRONGEST]
    return found, _NOWHERE


def is_lasting(report: Report) -> bool:
    """Whether it says what it will always say: not so while files that it shows from are away."""
    return all(one.passages_missing in {None, "", _NOWHERE} for one in report.features)


def _pressing(row: Verdict) -> tuple[int, float, str]:
    """What people should look at first comes first; within a verdict the largest effect."""
    margins = abs(row.effect) / row.margin if row.effect is not None and row.margin else 1e9
    return _PRESSING.index(row.verdict), -margins, row.feature


def _line(row: Verdict) -> FeatureLine:
    return FeatureLine(
        name=row.feature,
        **{name: getattr(row, name) for name in FeatureLine.model_fields if name != "name"},
    )


def _names(features: Sequence[Feature], *verdicts: str) -> tuple[str, ...]:
    return tuple(feature.name for feature in features if feature.verdict in verdicts)


def _summary(summary: Mapping[str, Any], comparison: str) -> Mapping[str, Any]:
    found = (summary.get("comparisons") or {}).get(comparison)
    return found if isinstance(found, Mapping) else {}


def _dictionary_ids(view: EvaluationView, material: Material) -> list[UUID]:
    ids = {row.dictionary_id for row in material.registered.values()}
    return sorted(one for one in {view.evaluation.dictionary_id, *ids} if one is not None)
