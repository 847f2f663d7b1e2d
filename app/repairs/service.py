"""Deciding repairs: a person accepts or rejects; nothing is applied to a monitor by itself."""

from uuid import UUID

from sqlalchemy.orm import Session

from app.access import audit
from app.access.principals import principal_of
from app.core.artifacts import ArtifactStore
from app.core.clock import now
from app.core.errors import ConflictError, NotFoundError
from app.monitors.schemas import FeatureSetVersionRef
from app.registry.repository import feature_sets
from app.registry.schemas.feature_sets import (
    FeatureSetCreate,
    FeatureSetVersionOut,
    FeatureSummary,
)
from app.registry.service.dictionaries import register_stored_dictionary
from app.registry.service.feature_sets import publish
from app.registry.tables import FeatureSetVersion
from app.repairs import repository
from app.repairs.repository import RepairView
from app.repairs.schemas import (
    Changed,
    Decision,
    ProposedDictionary,
    RepairDecision,
    RepairOut,
    RepairSummary,
)
from app.repairs.tables import Repair
from app.sources.dictionary import CONFIG_FILE, WEIGHTS_FILE


def find_view(session: Session, repair_id: UUID) -> RepairView:
    """A repair by id, with its names.

    Raises:
        NotFoundError: there is none.
    """
    view = repository.get_view(session, repair_id)
    if view is None:
        raise _unknown(repair_id)
    return view


def require_artifacts(artifacts: ArtifactStore, view: RepairView) -> None:
    """The files of proposed dictionaries are there; that they are whole, each worker checks.

    Raises:
        ConflictError: one was removed from the store.
    """
    if view.repair.state != "proposed":
        return
    for value in view.repair.dictionaries:
        dictionary = ProposedDictionary.model_validate(value)
        for file in (CONFIG_FILE, WEIGHTS_FILE):
            if not artifacts.exists(f"{dictionary.artifact}/{file}"):
                raise ConflictError(
                    f"the proposed dictionary {dictionary.name!r} is not in the artifact store any "
                    f"more: {dictionary.artifact}/{file} is missing; retry the evaluation to have "
                    "it made again",
                    code="dictionary_missing",
                    value=dictionary.artifact,
                )


def accept(session: Session, repair_id: UUID, decision: Decision) -> Repair:
    """Register the proposed dictionaries and publish the proposed features as the next version.

    Accepting again changes nothing.

    Raises:
        NotFoundError: there is no such repair; a proposal made anew has another id.
        ConflictError: it is rejected, or a dictionary's name was taken in the meantime.
        InvalidInputError: the features do not fit the dictionaries as they are registered now.
    """
    repair = _locked(session, repair_id)
    if not _undecided(repair, "accepted"):
        return repair
    dictionaries = [ProposedDictionary.model_validate(value) for value in repair.dictionaries]
    for dictionary in dictionaries:
        register_stored_dictionary(
            session,
            name=dictionary.name,
            artifact=dictionary.artifact,
            digest=dictionary.digest,
            site=dictionary.site,
            architecture=dictionary.architecture,
            d_in=dictionary.d_in,
            d_sae=dictionary.d_sae,
        )
    detail: dict[str, object] = {
        "evaluation": str(repair.evaluation_id),
        "comparison": repair.comparison,
        "changed": [change["feature"] for change in repair.changes],
        "dictionaries": {dictionary.name: dictionary.digest for dictionary in dictionaries},
    }
    if repair.base_feature_set_version_id is not None:
        base = session.get_one(FeatureSetVersion, repair.base_feature_set_version_id)
        name = repository.feature_set_name(session, base.id)
        asked = FeatureSetCreate.model_validate({"name": name, "features": repair.features})
        _, version, _ = publish(session, asked)
        repair.feature_set_version_id = version.id
        detail |= {"feature_set": name, "base_version": base.number, "version": version.number}
    _decide(session, repair, "accepted", decision, detail)
    return repair


def reject(session: Session, repair_id: UUID, decision: Decision) -> Repair:
    """Turn a proposal down; rejecting again changes nothing.

    Raises:
        NotFoundError: there is no such repair.
        ConflictError: it is accepted.
    """
    repair = _locked(session, repair_id)
    if _undecided(repair, "rejected"):
        detail: dict[str, object] = {
            "evaluation": str(repair.evaluation_id),
            "comparison": repair.comparison,
            "changed": [change["feature"] for change in repair.changes],
        }
        _decide(session, repair, "rejected", decision, detail)
    return repair


def present(view: RepairView) -> RepairSummary:
    """A repair as lists show it."""
    repair = view.repair
    return RepairSummary(
        id=repair.id,
        evaluation=repair.evaluation_id,
        monitor=view.monitor,
        model=view.model,
        checkpoint=view.checkpoint,
        comparison=repair.comparison,
        state=repair.state,
        base=_reference(view.feature_set, view.base_version),
        changed=[
            Changed(feature=feature, diagnosis=diagnosis)
            for feature, diagnosis in zip(view.features, view.diagnoses, strict=True)
        ],
        dictionaries=[ProposedDictionary.model_validate(value) for value in repair.dictionaries],
        created_at=repair.created_at,
        decided_at=repair.decided_at,
        decided_by=repair.decided_by,
        decided_principal=repair.decided_principal,
        note=repair.note,
        published=_reference(view.published_set, view.published_version),
    )


def present_whole(session: Session, view: RepairView) -> RepairOut:
    """A repair with its evidence and definitions."""
    changes, features = repository.content(session, view.repair.id)
    summary = present(view).model_dump()
    return RepairOut.model_validate({**summary, "changes": changes, "features": features})


def present_decision(session: Session, view: RepairView) -> RepairDecision:
    """A decided repair with the version that it published."""
    version = None
    if view.repair.feature_set_version_id is not None:
        row = session.get_one(FeatureSetVersion, view.repair.feature_set_version_id)
        summaries = feature_sets.feature_summaries(session, row.id)
        version = FeatureSetVersionOut(
            id=row.id,
            feature_set=view.published_set or "",
            version=row.number,
            digest=row.digest,
            features_count=row.features_count,
            features=[FeatureSummary.model_validate(summary) for summary in summaries],
            created_at=row.created_at,
        )
    return RepairDecision(**present(view).model_dump(), feature_set_version=version)


def _reference(name: str | None, number: int | None) -> FeatureSetVersionRef | None:
    if name is None or number is None:
        return None
    return FeatureSetVersionRef(name=name, version=number)


def _locked(session: Session, repair_id: UUID) -> Repair:
    repair = repository.lock_repair(session, repair_id)
    if repair is None:
        raise _unknown(repair_id)
    return repair


def _unknown(repair_id: UUID) -> NotFoundError:
    return NotFoundError(
        f"there is no repair {repair_id} (any more: a proposal that is made anew has a new id); "
        "GET /v1/repairs lists them",
        code="unknown_repair",
        field="repair",
        value=str(repair_id),
    )


def _undecided(repair: Repair, wanted: str) -> bool:
    """Whether there is still something to decide.

    Raises:
        ConflictError: the opposite was decided.
    """
    if repair.state not in ("proposed", wanted):
        raise ConflictError(
            f"the repair was {repair.state} by {repair.decided_by} at {repair.decided_at}; a "
            "decision stands, so evaluate again for a new proposal",
            code="repair_decided",
            field="state",
            value=repair.state,
        )
    return repair.state == "proposed"


def _decide(
    session: Session, repair: Repair, state: str, decision: Decision, detail: dict[str, object]
) -> None:
    repair.state = state
    repair.decided_at = now()
    repair.decided_by = decision.by
    principal = principal_of(session)
    repair.decided_principal = principal.name if principal is not None else None
    repair.note = decision.note
    audit.record(
        session,
        actor=decision.by,
        action=f"repair.{state}",
        subject_id=repair.id,
        detail={**detail, "note": decision.note},
        model=repository.model_name(session, repair),
    )
