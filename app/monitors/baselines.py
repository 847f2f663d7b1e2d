"""What monitors' baselines name at this moment."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from app.core.errors import InvalidInputError
from app.monitors.schemas import BaselineRule
from app.monitors.tables import Monitor
from app.registry.repository.models import aliased_checkpoints, named_checkpoints
from app.registry.tables import Checkpoint, Model


def resolve_baseline(session: Session, model: Model, rule: BaselineRule) -> Checkpoint:
    """The checkpoint that a rule names at this moment.

    Raises:
        InvalidInputError: the alias or the checkpoint does not exist.
    """
    (found,) = _resolve(session, [(model, rule)])
    if isinstance(found, InvalidInputError):
        raise found
    return found


def resolve_baselines(
    session: Session, monitors: Iterable[tuple[Monitor, Model]]
) -> dict[UUID, Checkpoint | InvalidInputError]:
    """Monitor → the checkpoint that it compares with now, or why there is none.

    Two queries, however many monitors there are.

    Args:
        monitors: each with its model.
    """
    asked = [
        (monitor.id, model, BaselineRule.model_validate(monitor.baseline))
        for monitor, model in monitors
    ]
    found = _resolve(session, [(model, rule) for _, model, rule in asked])
    return {monitor: answer for (monitor, _, _), answer in zip(asked, found, strict=True)}


def _resolve(
    session: Session, asked: Sequence[tuple[Model, BaselineRule]]
) -> list[Checkpoint | InvalidInputError]:
    names = {(model.id, rule.checkpoint) for model, rule in asked if rule.checkpoint is not None}
    aliases = {(model.id, rule.alias or "") for model, rule in asked if rule.checkpoint is None}
    named = named_checkpoints(session, names) if names else {}
    aliased = aliased_checkpoints(session, aliases) if aliases else {}
    return [
        (named.get((model.id, rule.checkpoint)) or _no_checkpoint(model, rule.checkpoint))
        if rule.checkpoint is not None
        else (aliased.get((model.id, rule.alias or "")) or _no_alias(model, rule.alias or ""))
        for model, rule in asked
    ]


def _no_checkpoint(model: Model, name: str) -> InvalidInputError:
    return InvalidInputError(
        f"the baseline is the checkpoint {name!r}, which the model {model.name!r} does not have; "
        "register it first",
        code="baseline_unresolved",
        field="baseline.checkpoint",
        value=name,
    )


def _no_alias(model: Model, name: str) -> InvalidInputError:
    return InvalidInputError(
        f"the baseline follows the alias {name!r}, which the model {model.name!r} does not have; "
        f"PUT /v1/models/{model.name}/aliases/{name} first",
        code="baseline_unresolved",
        field="baseline.alias",
        value=name,
    )
