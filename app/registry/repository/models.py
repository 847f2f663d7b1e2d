"""SQL of models, checkpoints and aliases."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session, aliased

from app.core.clock import now
from app.core.rows import insert_if_absent, newest_first
from app.registry.tables import Alias, Checkpoint, Model

MAX_BENIGN = 8
"""As many as have a role of their own in an evaluation."""


def insert_model(session: Session, **values: Any) -> Model | None:
    """A new model, or None when the name is taken."""
    return insert_if_absent(session, Model, ["name"], **values)


def get_model(session: Session, name: str, *, lock: bool = False) -> Model | None:
    """A model by name; locked, its checkpoints are registered one after another."""
    statement = select(Model).where(Model.name == name)
    if lock:
        statement = statement.with_for_update(key_share=True)
    return session.scalars(statement).one_or_none()


def list_models(session: Session, after: UUID | None, limit: int) -> Sequence[Model]:
    """Models, newest first, one more than `limit`."""
    return session.scalars(newest_first(select(Model), Model.id, after, limit)).all()


def insert_checkpoint(session: Session, **values: Any) -> Checkpoint | None:
    """A new checkpoint, or None when the model has one of that name."""
    return insert_if_absent(session, Checkpoint, ["model_id", "name"], **values)


def get_checkpoint(
    session: Session, model_id: UUID, name: str, *, lock: bool = False
) -> Checkpoint | None:
    """A checkpoint of a model by name."""
    statement = select(Checkpoint).where(Checkpoint.model_id == model_id, Checkpoint.name == name)
    if lock:
        statement = statement.with_for_update(key_share=True)
    return session.scalars(statement).one_or_none()


def named_checkpoints(
    session: Session, named: Collection[tuple[UUID, str]]
) -> dict[tuple[UUID, str], Checkpoint]:
    """(model, name) → the checkpoint, of those that are there."""
    rows = session.scalars(
        select(Checkpoint).where(tuple_(Checkpoint.model_id, Checkpoint.name).in_(named))
    )
    return {(row.model_id, row.name): row for row in rows}


def aliased_checkpoints(
    session: Session, aliases: Collection[tuple[UUID, str]]
) -> dict[tuple[UUID, str], Checkpoint]:
    """(model, alias) → the checkpoint that the alias names now, of those that are there."""
    rows = session.execute(
        select(Alias.model_id, Alias.name, Checkpoint)
        .join(Checkpoint, Alias.checkpoint_id == Checkpoint.id)
        .where(tuple_(Alias.model_id, Alias.name).in_(aliases))
    )
    return {(model_id, name): checkpoint for model_id, name, checkpoint in rows}


def benign_checkpoints(
    session: Session,
    model_id: UUID,
    *,
    exclude: Collection[UUID] = (),
    limit: int = MAX_BENIGN,
) -> Sequence[Checkpoint]:
    """Checkpoints of a model that are marked benign, the newest first."""
    return session.scalars(
        select(Checkpoint)
        .where(Checkpoint.model_id == model_id, Checkpoint.benign, Checkpoint.id.not_in(exclude))
        .order_by(Checkpoint.id.desc())
        .limit(limit)
    ).all()


def list_checkpoints(
    session: Session, model_id: UUID, after: UUID | None, limit: int
) -> Sequence[tuple[Checkpoint, str | None]]:
    """Checkpoints of a model with their parents' names, newest first, one more than `limit`."""
    parent = aliased(Checkpoint)
    statement = (
        select(Checkpoint, parent.name)
        .outerjoin(parent, Checkpoint.parent_id == parent.id)
        .where(Checkpoint.model_id == model_id)
    )
    rows = session.execute(newest_first(statement, Checkpoint.id, after, limit)).all()
    return [(checkpoint, name) for checkpoint, name in rows]


def checkpoint_before(session: Session, checkpoint: Checkpoint) -> Checkpoint | None:
    """The checkpoint of the same model that was registered immediately before."""
    return session.scalars(
        select(Checkpoint)
        .where(Checkpoint.model_id == checkpoint.model_id, Checkpoint.id < checkpoint.id)
        .order_by(Checkpoint.id.desc())
        .limit(1)
    ).one_or_none()


def checkpoint_names(session: Session, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Names of checkpoints by id."""
    rows = session.execute(select(Checkpoint.id, Checkpoint.name).where(Checkpoint.id.in_(ids)))
    return {row.id: row.name for row in rows}


def insert_alias(session: Session, model_id: UUID, name: str, checkpoint_id: UUID) -> Alias | None:
    """A new alias, or None when the model has one of that name."""
    return insert_if_absent(
        session,
        Alias,
        ["model_id", "name"],
        model_id=model_id,
        name=name,
        checkpoint_id=checkpoint_id,
        updated_at=now(),
    )


def get_alias(session: Session, model_id: UUID, name: str, *, lock: bool = False) -> Alias | None:
    """An alias of a model by name."""
    statement = select(Alias).where(Alias.model_id == model_id, Alias.name == name)
    if lock:
        statement = statement.with_for_update()
    return session.scalars(statement).one_or_none()


def list_aliases(
    session: Session, model_id: UUID, after: UUID | None, limit: int
) -> Sequence[tuple[Alias, str]]:
    """Aliases of a model with their checkpoints' names, newest first, one more than `limit`."""
    statement = (
        select(Alias, Checkpoint.name)
        .join(Checkpoint, Alias.checkpoint_id == Checkpoint.id)
        .where(Alias.model_id == model_id)
    )
    rows = session.execute(newest_first(statement, Alias.id, after, limit)).all()
    return [(alias, name) for alias, name in rows]


def delete_alias(session: Session, alias: Alias) -> None:
    """Remove an alias; its checkpoint stays."""
    session.execute(delete(Alias).where(Alias.id == alias.id))
