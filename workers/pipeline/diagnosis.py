"""Why features drifted from the pinned baseline, and what could take their place."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.core.artifacts import ArtifactStore
from app.registry.definitions import Feature, SaeLatent
from app.repairs.schemas import ProposedDictionary
from app.repairs.writing import store_dictionary
from workers.comparison import ComparisonResult, CorpusLabels
from workers.comparison.pairing import NotComparableError
from workers.comparison.sites import paired_sample, single_sample
from workers.diagnosis import Diagnosis, DiagnosisQuestion, DictionaryHealth, diagnose
from workers.drift.records import FeatureVerdict
from workers.pipeline.case import Case, numeric_policy
from workers.pipeline.context import Context
from workers.pipeline.controls import ControlEvidence
from workers.pipeline.corpus import token_ids
from workers.pipeline.lease import Lease
from workers.snapshots import SnapshotReader

MAX_DIAGNOSED = 200
"""Of more drifted features the most pressing are diagnosed; the others drifted no less."""
_UNSEEN = {
    "concept": "how well it reads its concept",
    "robustness": "agreement with variants of the documents",
}
"""Labels and variants take no part in a diagnosis."""


@dataclass(frozen=True)
class Findings:
    """Diagnoses, and what they propose."""

    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    proposal: Mapping[str, Any] | None = None
    """Arguments of `replace_proposal`; None where nothing was looked at."""
    note: str | None = None
    """Why there is no diagnosis, or not of all; None where every drifted feature has one."""


def diagnose_drifted(
    context: Context,
    case: Case,
    labels: CorpusLabels,
    result: ComparisonResult,
    controls: ControlEvidence,
    lease: Lease,
) -> Findings:
    """Diagnose what drifted from the pinned baseline, and propose the next feature set.

    Raises:
        EvaluationError: a snapshot or dictionary is missing or damaged.
    """
    if not case.question.policy.diagnosis:
        return Findings(note="The monitor's policy asks for no diagnosis.")
    pressing = result.verdicts.top(len(result.verdicts.names))
    rows = {row.name: row for row in pressing if row.verdict == "drifted"}
    drifted = list(rows)
    if not drifted:
        return Findings(proposal={"comparison": "baseline", "changes": []})
    try:
        sample = paired_sample(case.readers["baseline"], case.readers["candidate"], labels)
    except NotComparableError as error:
        return Findings(note=f"Nothing was diagnosed: {error}.")
    randomised = None
    if "random_all" in case.readers:
        randomised = single_sample(case.readers["random_all"], labels)
    snapshot = case.snapshots["baseline"]
    tokens = token_ids(context, snapshot.plan["tokens_key"], snapshot.inputs["batch_tokens"])
    asked = drifted[:MAX_DIAGNOSED]
    target = case.question.target
    features = _definitions(case, asked)
    with tempfile.TemporaryDirectory(prefix="featuredrift-") as folder:
        found = diagnose(
            DiagnosisQuestion(
                features=features,
                drifted=asked,
                sample=sample,
                dictionaries={d.name: context.dictionaries.find(d) for d in target.dictionaries},
                randomised=randomised,
                token_keys=tokens[sample.rows],
                policy=numeric_policy(case.question.policy, controls.floor),
                health_baseline=_health(case.readers["baseline"]),
                health_candidate=_health(case.readers["candidate"]),
                folder=Path(folder),
                seed=case.question.policy.controls.seed,
            )
        )
        lease.check()
        found = {name: _with_limits(one, rows[name]) for name, one in found.items()}
        proposal = _proposal(context.store, case, features, found)
    note = None
    if len(asked) < len(drifted):
        note = f"The {len(asked)} most pressing of {len(drifted)} drifted features were diagnosed."
    return Findings(found, proposal, note)


def _with_limits(diagnosis: Diagnosis, row: FeatureVerdict) -> Diagnosis:
    """The diagnosis, saying where the drift was found in what it does not look at."""
    if diagnosis.label != "unexplained" or row.estimand not in _UNSEEN:
        return diagnosis
    reason = (
        f"{diagnosis.reason} The drift is one of {_UNSEEN[row.estimand]}, which this diagnosis "
        "does not look at."
    )
    return replace(diagnosis, reason=reason)


def _definitions(case: Case, drifted: Sequence[str]) -> dict[str, Feature]:
    """The watched set, or of a whole dictionary the latents in question."""
    target = case.question.target
    if target.whole is None:
        return {feature.name: feature.definition for feature in target.features}
    name = target.whole.name
    return {
        latent: SaeLatent(name=latent, dictionary=name, index=int(latent.removeprefix("latent-")))
        for latent in drifted
    }


def _health(reader: SnapshotReader) -> dict[str, DictionaryHealth]:
    return {
        name: DictionaryHealth(fvu=figures.get("fvu"), l0=figures.get("l0"))
        for name, figures in reader.manifest.health.items()
    }


def _proposal(
    store: ArtifactStore,
    case: Case,
    features: Mapping[str, Feature],
    found: Mapping[str, Diagnosis],
) -> dict[str, Any]:
    """Arguments of `replace_proposal`; without changes an earlier proposal is taken back."""
    whole = case.question.target.whole is not None
    changes: list[dict[str, Any]] = []
    replaced: dict[str, dict[str, Any]] = {}
    dictionaries: dict[str, ProposedDictionary] = {}
    for name, diagnosis in found.items():
        repair = diagnosis.repair
        if repair is None or (whole and repair.dictionary is None):
            continue
        made = repair.dictionary
        if made is not None and made["name"] not in dictionaries:
            dictionaries[made["name"]] = store_dictionary(
                store,
                Path(made["source"]),
                name=made["name"],
                site=made["site"],
                replaces=made["realigned_from"],
            )
        replaced[name] = repair.definition
        changes.append(
            {
                "feature": name,
                "old": None if whole else features[name].model_dump(mode="json"),
                "new": None if whole else repair.definition,
                "diagnosis": diagnosis.label,
                "reason": diagnosis.reason,
                "evidence": repair.evidence,
            }
        )
    definitions = [] if whole or not changes else list(features)
    return {
        "comparison": "baseline",
        "changes": changes,
        "features": [
            replaced.get(name) or features[name].model_dump(mode="json") for name in definitions
        ],
        "dictionaries": list(dictionaries.values()),
    }
