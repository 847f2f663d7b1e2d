"""Proposing repairs: what a worker calls in the transaction that ends an evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from app.core.artifacts import ArtifactStore
from app.core.errors import InvalidInputError
from app.evaluations.tables import Evaluation
from app.registry.definitions import SaeLatent
from app.registry.repository import dictionaries as registered
from app.registry.schemas.feature_sets import FeatureSetCreate
from app.registry.service.feature_sets import check_features
from app.registry.tables import Dictionary
from app.repairs import repository
from app.repairs.schemas import ProposedDictionary, RepairChange
from app.repairs.tables import Repair
from app.sources.dictionary import CONFIG_FILE, WEIGHTS_FILE, inspect_dictionary_source
from app.verdicts.writing import finite_json

_CHANGES = TypeAdapter(list[RepairChange])


def replace_proposal(
    session: Session,
    evaluation_id: UUID,
    comparison: str,
    *,
    changes: Sequence[Mapping[str, Any]],
    features: Sequence[Mapping[str, Any]] = (),
    dictionaries: Sequence[ProposedDictionary] = (),
) -> Repair | None:
    """Let this be the proposal of a comparison, in place of the one that it had.

    The base version, the monitor and whether a whole dictionary is watched are the evaluation's.
    The same proposal again keeps its id; another one is a new row with a new id. A decided repair
    is never touched.

    Args:
        comparison: `baseline` or `previous`.
        changes: per changed feature {"feature", "old", "new", "diagnosis", "reason", "evidence"},
            as `RepairChange`, of plain Python values; NaN becomes null. Empty takes an undecided
            proposal back.
        features: the whole proposed list of definitions, changed and unchanged ones, in the order
            of the base version; empty for a whole dictionary.
        dictionaries: what `store_dictionary` gave, for each that the features newly refer to.

    Returns:
        The proposal or the decided repair; None when there is nothing to propose.

    Raises:
        pydantic.ValidationError: a change or a definition is malformed.
        InvalidInputError: the features do not fit their dictionaries, or not the changes.
        sqlalchemy.exc.NoResultFound: there is no such evaluation.
    """
    evaluation = session.get_one(Evaluation, evaluation_id)
    existing = repository.lock_proposal(session, evaluation_id, comparison)
    if existing is not None and existing.state != "proposed":
        return existing
    if not changes:
        if existing is not None:
            repository.delete_repair(session, existing)
        return None
    parsed = _CHANGES.validate_python([finite_json(dict(change)) for change in changes])
    base = evaluation.feature_set_version_id
    content = {
        "changes": [change.model_dump(mode="json") for change in parsed],
        "features": _definitions(session, base, features, parsed, dictionaries),
        "dictionaries": [dictionary.model_dump(mode="json") for dictionary in dictionaries],
        "base_feature_set_version_id": base,
    }
    if existing is not None:
        if all(getattr(existing, name) == value for name, value in content.items()):
            return existing
        repository.delete_repair(session, existing)
    return repository.insert_repair(
        session,
        evaluation_id=evaluation_id,
        monitor_id=evaluation.monitor_id,
        comparison=comparison,
        state="proposed",
        **content,
    )


def store_dictionary(
    artifacts: ArtifactStore, folder: Path, *, name: str, site: str, replaces: str | None = None
) -> ProposedDictionary:
    """Put a dictionary into the artifact store, under its digest, for a proposal.

    Args:
        folder: `cfg.json` and `sae_weights.safetensors`, as SAELens writes them.
        name: what it is to be called; another one than that of any registered dictionary.
        site: where its input is read.
        replaces: the registered dictionary that it was made from.

    Raises:
        InvalidInputError: the files are missing, damaged, or do not fit each other.
        OSError: the store is full or unwritable.
    """
    facts = inspect_dictionary_source(str(folder.resolve()), [folder.resolve()])
    if facts is None:
        raise ValueError(f"{folder} is no local folder")
    prefix = f"dictionaries/{facts.digest}"
    for file in (WEIGHTS_FILE, CONFIG_FILE):
        if not artifacts.exists(f"{prefix}/{file}"):
            artifacts.write_bytes(f"{prefix}/{file}", (folder / file).read_bytes())
    return ProposedDictionary(
        name=name,
        replaces=replaces,
        artifact=prefix,
        digest=facts.digest,
        site=site,
        architecture=facts.architecture,
        d_in=facts.d_in,
        d_sae=facts.d_sae,
    )


def _definitions(
    session: Session,
    base: UUID | None,
    features: Sequence[Mapping[str, Any]],
    changes: Sequence[RepairChange],
    dictionaries: Sequence[ProposedDictionary],
) -> list[dict[str, Any]]:
    """The proposed list in the registry's own form, checked as if it were published now."""
    if base is None:
        if features or not dictionaries:
            raise InvalidInputError(
                "a repair of a whole dictionary proposes dictionaries and no features",
                field="features",
            )
        return []
    asked = FeatureSetCreate.model_validate(
        {"name": repository.feature_set_name(session, base), "features": list(features)}
    )
    names = {feature.name for feature in asked.features}
    for change in changes:
        if change.feature not in names:
            raise InvalidInputError(
                f"the change of {change.feature!r} names no feature of the proposed list",
                field="changes",
                value=change.feature,
            )
    used = {feature.dictionary for feature in asked.features if isinstance(feature, SaeLatent)}
    known = registered.get_dictionaries(session, used)
    for proposed in dictionaries:
        known.setdefault(
            proposed.name,
            Dictionary(
                name=proposed.name, site=proposed.site, d_in=proposed.d_in, d_sae=proposed.d_sae
            ),
        )
    check_features(asked.features, known)
    return [feature.model_dump(mode="json") for feature in asked.features]
