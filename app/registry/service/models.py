"""Registering models and checkpoints; moving aliases."""

from sqlalchemy.orm import Session

from app.access import audit
from app.access.principals import require_models
from app.core.clock import now
from app.core.errors import InvalidInputError, NotFoundError, PreconditionFailedError
from app.core.immutability import require_same
from app.core.preconditions import check_if_match
from app.registry.repository import models as repository
from app.registry.schemas.models import CheckpointCreate, CheckpointPatch, ModelCreate
from app.registry.service.sources import reading
from app.registry.tables import Alias, Checkpoint, Model
from app.settings import Settings
from app.sources.checkpoint import inspect_checkpoint_source


def register_model(session: Session, body: ModelCreate) -> tuple[Model, bool]:
    """The model, and whether it is new.

    Raises:
        ConflictError: the name is registered with another description.
        MissingScopeError: the key is bound to other models.
    """
    require_models(session, [body.name])
    model = repository.insert_model(session, name=body.name, description=body.description)
    if model is not None:
        audit.record(
            session,
            action="model.registered",
            subject_id=model.id,
            detail={"name": body.name},
            model=body.name,
        )
        return model, True
    model = find_model(session, body.name)
    require_same("model", body.name, {"description": (model.description, body.description)})
    return model, False


def find_model(session: Session, name: str, *, lock: bool = False) -> Model:
    """A model by name.

    Raises:
        NotFoundError: there is none.
    """
    model = repository.get_model(session, name, lock=lock)
    if model is None:
        raise NotFoundError(
            f"there is no model {name!r}; POST /v1/models registers one",
            code="unknown_model",
            field="model",
            value=name,
        )
    return model


def source_fault(body: CheckpointCreate, settings: Settings) -> InvalidInputError | None:
    """What is wrong with a checkpoint's source, which matters if it is new.

    Asked for before any lock is taken: a disk may take its time to answer.
    """
    try:
        with reading(body.source):
            inspect_checkpoint_source(
                body.source, settings.allowed_roots, allow_hub=settings.allow_hub
            )
    except InvalidInputError as fault:
        return fault
    return None


def register_checkpoint(
    session: Session,
    model: Model,
    body: CheckpointCreate,
    fault: InvalidInputError | None,
    *,
    audited: bool = False,
) -> tuple[Checkpoint, str | None, bool]:
    """The checkpoint, its parent's name, and whether it is new.

    The model's row must be locked: "the one registered before" is then the same for everybody.

    Args:
        fault: what `source_fault` has found; of one that is registered it is no longer asked.
        audited: the caller records it itself.

    Raises:
        ConflictError: the name is registered with other content.
        InvalidInputError: the source cannot be used, or the parent is unknown.
    """
    existing = repository.get_checkpoint(session, model.id, body.name)
    if existing is not None:
        parent = _parent_name(session, existing)
        require_same(
            "checkpoint",
            body.name,
            {
                "source": (existing.source, body.source),
                "revision": (existing.revision, body.revision),
                "parent": (parent, body.parent),
                "digest": (existing.registered_digest, body.digest),
                # The mark may have been changed since; what it was then is no longer known.
                **({"benign": (existing.benign, body.benign)} if existing.version == 1 else {}),
                "note": (existing.note, body.note),
            },
        )
        return existing, parent, False
    if fault is not None:
        raise fault
    parent_id = None
    if body.parent is not None:
        parent_row = repository.get_checkpoint(session, model.id, body.parent)
        if parent_row is None:
            raise InvalidInputError(
                f"the model {model.name!r} has no checkpoint {body.parent!r}; register the parent "
                "first, or leave parent out",
                code="unknown_checkpoint",
                field="parent",
                value=body.parent,
            )
        parent_id = parent_row.id
    created = repository.insert_checkpoint(
        session,
        model_id=model.id,
        name=body.name,
        source=body.source,
        revision=body.revision,
        parent_id=parent_id,
        registered_digest=body.digest,
        benign=body.benign,
        benign_at=now() if body.benign else None,
        note=body.note,
    )
    if created is None:
        raise RuntimeError(f"checkpoint {body.name!r} appeared under the model's lock")
    if not audited:
        audit.record(
            session,
            action="checkpoint.registered",
            subject_id=created.id,
            detail=body.model_dump(
                mode="json", include={"name", "source", "revision", "parent", "digest", "benign"}
            ),
            model=model.name,
        )
    return created, body.parent, True


def mark_checkpoint(
    session: Session, model: Model, name: str, body: CheckpointPatch, if_match: str | None
) -> tuple[Checkpoint, str | None]:
    """Set or lift the mark `benign`; the checkpoint and its parent's name.

    Raises:
        NotFoundError: there is no such checkpoint.
        PreconditionRequiredError: no `If-Match`.
        PreconditionFailedError: the mark has changed since.
    """
    checkpoint = find_checkpoint(session, model, name, lock=True)
    check_if_match(if_match, checkpoint.version)
    if (checkpoint.benign, checkpoint.benign_note) != (body.benign, body.note):
        if checkpoint.benign != body.benign:
            checkpoint.benign_at = now() if body.benign else None
        checkpoint.benign = body.benign
        checkpoint.benign_note = body.note
        checkpoint.version += 1
        audit.record(
            session,
            actor=body.by,
            action=f"checkpoint.{'marked' if body.benign else 'unmarked'}_benign",
            subject_id=checkpoint.id,
            detail={"model": model.name, "checkpoint": name, "note": body.note},
            model=model.name,
        )
    return checkpoint, _parent_name(session, checkpoint)


def find_checkpoint(session: Session, model: Model, name: str, *, lock: bool = False) -> Checkpoint:
    """A checkpoint of a model.

    Raises:
        NotFoundError: there is none.
    """
    checkpoint = repository.get_checkpoint(session, model.id, name, lock=lock)
    if checkpoint is None:
        raise NotFoundError(
            f"the model {model.name!r} has no checkpoint {name!r}; "
            f"GET /v1/models/{model.name}/checkpoints lists them",
            code="unknown_checkpoint",
            field="checkpoint",
            value=name,
        )
    return checkpoint


def find_checkpoint_with_parent(
    session: Session, model: Model, name: str
) -> tuple[Checkpoint, str | None]:
    """A checkpoint and its parent's name.

    Raises:
        NotFoundError: there is none.
    """
    checkpoint = find_checkpoint(session, model, name)
    return checkpoint, _parent_name(session, checkpoint)


def find_alias(session: Session, model: Model, name: str, *, lock: bool = False) -> Alias:
    """An alias of a model.

    Raises:
        NotFoundError: there is none.
    """
    alias = repository.get_alias(session, model.id, name, lock=lock)
    if alias is None:
        raise NotFoundError(
            f"the model {model.name!r} has no alias {name!r}; "
            f"PUT /v1/models/{model.name}/aliases/{name} makes one",
            code="unknown_alias",
            field="alias",
            value=name,
        )
    return alias


def put_alias(
    session: Session,
    model: Model,
    name: str,
    checkpoint: Checkpoint,
    if_match: str | None,
    *,
    audited: bool = False,
) -> tuple[Alias, bool]:
    """Point an alias at a checkpoint; the alias, and whether it is new.

    Pointing it where it points already changes nothing and needs no `If-Match`.

    Args:
        audited: the caller records it itself.

    Raises:
        PreconditionRequiredError: it points elsewhere and there is no `If-Match`.
        PreconditionFailedError: it has changed since, or is gone.
    """
    if if_match is None:
        alias = repository.insert_alias(session, model.id, name, checkpoint.id)
        if alias is not None:
            if not audited:
                _record_alias(session, model, name, "set", checkpoint=checkpoint.name)
            return alias, True
    alias = repository.get_alias(session, model.id, name, lock=True)
    if alias is None:
        raise PreconditionFailedError(
            f"the model {model.name!r} has no alias {name!r} (any more); leave If-Match out to "
            "make it",
            field="If-Match",
            value=if_match,
        )
    moves = alias.checkpoint_id != checkpoint.id
    check_if_match(if_match, alias.version, required=moves)
    if moves:
        alias.checkpoint_id = checkpoint.id
        alias.version += 1
        alias.updated_at = now()
        session.flush()
        if not audited:
            _record_alias(session, model, name, "set", checkpoint=checkpoint.name)
    return alias, False


def delete_alias(session: Session, model: Model, name: str, if_match: str | None) -> None:
    """Remove an alias.

    Raises:
        NotFoundError: there is none.
        PreconditionRequiredError: no `If-Match`.
        PreconditionFailedError: it has changed since.
    """
    alias = find_alias(session, model, name, lock=True)
    check_if_match(if_match, alias.version)
    repository.delete_alias(session, alias)
    _record_alias(session, model, name, "removed")


def _record_alias(session: Session, model: Model, name: str, done: str, **detail: str) -> None:
    audit.record(
        session,
        action=f"alias.{done}",
        subject_id=f"{model.id}/{name}",
        detail={"model": model.name, "alias": name, **detail},
        model=model.name,
    )


def _parent_name(session: Session, checkpoint: Checkpoint) -> str | None:
    if checkpoint.parent_id is None:
        return None
    return repository.checkpoint_names(session, [checkpoint.parent_id])[checkpoint.parent_id]
