"""What a message of an MLflow registry does here."""

from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import Session

from app.access import audit
from app.core.errors import InvalidInputError, UnavailableError
from app.core.etags import etag
from app.core.text import find_text_fault
from app.evaluations.admission import admit
from app.evaluations.service import start_all
from app.integrations.mlflow.mapping import MlflowModel, fill, reachable
from app.integrations.mlflow.schemas import (
    AliasCreated,
    MlflowEvent,
    MlflowOut,
    TagSet,
    VersionCreated,
)
from app.registry.repository import models as repository
from app.registry.schemas.models import CheckpointCreate
from app.registry.service import models as registry
from app.settings import Settings

ACTOR = "mlflow"
_MOVED = "alias.moved"
Message = TypeVar("Message", bound=BaseModel)


def receive(session: Session, event: MlflowEvent, delivery: str, settings: Settings) -> MlflowOut:
    """Do what an authentic message asks for, in the caller's transaction.

    Raises:
        InvalidInputError: the message is not what MLflow sends, or the source cannot be used.
        NotFoundError: the model that the mapping names is not registered.
        ConflictError: the checkpoint's name is taken by other content.
        UnavailableError: an alias came before its version; MLflow sends it again.
    """
    found = find_text_fault(event.data)
    if found is not None:
        path, fault = found
        place = ".".join(map(str, ("data", *path)))
        raise InvalidInputError(f"{place} {fault}", code="invalid_mlflow_event", field=place)
    match event.name:
        case "model_version.created":
            return _created(session, _parse(VersionCreated, event), delivery, settings)
        case "model_version_tag.set":
            return _tagged(session, _parse(TagSet, event), delivery, settings)
        case "model_version_alias.created":
            return _alias(session, event, _parse(AliasCreated, event), delivery, settings)
    return MlflowOut(outcome="ignored", detail=f"nothing follows from {event.name}")


def _created(
    session: Session, version: VersionCreated, delivery: str, settings: Settings
) -> MlflowOut:
    mapping = settings.mlflow_models.get(version.name)
    if mapping is None:
        return _unmapped(version.name)
    if mapping.source_tag is None:
        source = fill(mapping.source, version.model_dump(exclude={"tags"}))
        if source is None:
            raise InvalidInputError(
                f"version {version.version} of {version.name!r} lacks what the configured source "
                f"{mapping.source!r} is made of",
                code="invalid_mlflow_event",
                field="data",
            )
    else:
        source = version.tags.get(mapping.source_tag)
        if not source:
            return MlflowOut(
                outcome="ignored",
                detail=f"version {version.version} of {version.name} is registered when it has "
                f"the tag {mapping.source_tag}",
            )
    return _register(session, mapping, version.name, version.version, source, delivery, settings)


def _tagged(session: Session, tag: TagSet, delivery: str, settings: Settings) -> MlflowOut:
    mapping = settings.mlflow_models.get(tag.name)
    if mapping is None:
        return _unmapped(tag.name)
    if tag.key != mapping.source_tag or not tag.value:
        return MlflowOut(outcome="ignored", detail=f"nothing follows from the tag {tag.key}")
    return _register(session, mapping, tag.name, tag.version, tag.value, delivery, settings)


def _register(
    session: Session,
    mapping: MlflowModel,
    name: str,
    version: str,
    source: str,
    delivery: str,
    settings: Settings,
) -> MlflowOut:
    body = _checkpoint(mapping, name, version, reachable(mapping, source))
    fault = registry.source_fault(body, settings)
    model = registry.find_model(session, mapping.model, lock=True)
    checkpoint, _, created = registry.register_checkpoint(session, model, body, fault, audited=True)
    started: list[UUID] = []
    if created:
        started, _ = start_all(session, model, checkpoint)
        if started:
            admit(session, settings.max_queued_evaluations)
        audit.record(
            session,
            actor=ACTOR,
            action="checkpoint.registered",
            subject_id=checkpoint.id,
            detail={"delivery": delivery, "name": name, "version": version, "source": body.source},
            model=model.name,
        )
    return MlflowOut(
        outcome="registered" if created else "known",
        detail=f"version {version} of {name} is the checkpoint {body.name}",
        model=model.name,
        checkpoint=body.name,
        evaluations=started,
    )


def _alias(
    session: Session, event: MlflowEvent, alias: AliasCreated, delivery: str, settings: Settings
) -> MlflowOut:
    mapping = settings.mlflow_models.get(alias.name)
    if mapping is None:
        return _unmapped(alias.name)
    target = mapping.aliases.get(alias.alias)
    if target is None:
        return MlflowOut(outcome="ignored", detail=f"no alias here follows {alias.alias}")
    model = registry.find_model(session, mapping.model, lock=True)
    name = _checkpoint_name(mapping, alias.name, alias.version)
    checkpoint = repository.get_checkpoint(session, model.id, name)
    if checkpoint is None:
        # MLflow sends its messages side by side: this one may have overtaken the version's own.
        raise UnavailableError(
            f"version {alias.version} of {alias.name!r} is not registered as the checkpoint "
            f"{name!r} of {model.name!r} (yet); send it again, or register it",
            code="version_not_registered",
            field="data.version",
            value=alias.version,
        )
    subject = f"{model.id}/{target}"
    if _overtaken(session, subject, event):
        return MlflowOut(outcome="ignored", detail=f"{target} was moved by a later message already")
    held = repository.get_alias(session, model.id, target, lock=True)
    if_match = etag(held.version) if held is not None else None
    registry.put_alias(session, model, target, checkpoint, if_match, audited=True)
    audit.record(
        session,
        actor=ACTOR,
        action=_MOVED,
        subject_id=subject,
        detail={
            "delivery": delivery,
            "at": event.timestamp.timestamp(),
            "model": model.name,
            "alias": target,
            "checkpoint": name,
        },
        model=model.name,
    )
    return MlflowOut(
        outcome="alias_moved",
        detail=f"{target} points at {name}",
        model=model.name,
        checkpoint=name,
    )


def _overtaken(session: Session, subject: str, event: MlflowEvent) -> bool:
    last = audit.list_events(session, actor=ACTOR, action=_MOVED, subject_id=subject, limit=1)
    return bool(last) and float(last[0].detail["at"]) > event.timestamp.timestamp()


def _checkpoint_name(mapping: MlflowModel, name: str, version: str) -> str:
    filled = fill(mapping.checkpoint, {"name": name, "version": version})
    if filled is None:
        raise InvalidInputError(
            f"the configured checkpoint name {mapping.checkpoint!r} can be made of {{name}} and "
            "{version} only",
            code="invalid_mlflow_event",
            field="data",
        )
    return filled


def _checkpoint(mapping: MlflowModel, name: str, version: str, source: str) -> CheckpointCreate:
    try:
        return CheckpointCreate(
            name=_checkpoint_name(mapping, name, version),
            source=source,
            note=f"version {version} of {name} in MLflow",
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidInputError(
            f"version {version} of {name!r} makes no checkpoint: {field}: {first['msg']}; change "
            "FEATUREDRIFT_MLFLOW_MODELS",
            code="invalid_mlflow_event",
            field=field,
            value=first.get("input"),
        ) from error


def _unmapped(name: str) -> MlflowOut:
    return MlflowOut(
        outcome="ignored",
        detail=f"{name} is not watched; FEATUREDRIFT_MLFLOW_MODELS names the models that are",
    )


def _parse(kind: type[Message], event: MlflowEvent) -> Message:
    try:
        return kind.model_validate(event.data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(map(str, ("data", *first["loc"])))
        raise InvalidInputError(
            f"{field}: {first['msg']}; {event.name} of MLflow 3 is expected",
            code="invalid_mlflow_event",
            field=field,
        ) from error
