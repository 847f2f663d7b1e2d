"""Who a request comes from, and what it may do: carried by the session it works in."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy.orm import Session

from app.access.keys_tables import ModelAccess
from app.core.database import PRINCIPAL
from app.core.errors import ConflictError, FeaturedriftError, NotFoundError

Scope = Literal["read", "write", "admin", "metrics"]
SCOPES: tuple[str, ...] = get_args(Scope)
_IMPLIED: dict[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write"}),
    "admin": frozenset(SCOPES),
    "metrics": frozenset({"metrics"}),
}


class MissingScopeError(FeaturedriftError):
    """The key is good, and may not do this."""

    status, code, title = 403, "insufficient_scope", "Forbidden"


@dataclass(frozen=True)
class Principal:
    """Who it is that asks.

    Attributes:
        name: the key's name; `local` where no key is needed.
        scopes: what may be done, with all that a scope implies.
        models: names of the only models that exist for it; None: all.
        key_id: the key's id, if it is one of the database.
    """

    name: str
    scopes: frozenset[str]
    models: frozenset[str] | None = None
    key_id: UUID | None = None

    def need(self, scope: str) -> None:
        """Check that something may be done.

        Raises:
            MissingScopeError: naming the scope that is missing.
        """
        if scope in self.scopes:
            return
        has = ", ".join(sorted(self.scopes)) or "none"
        raise MissingScopeError(
            f"this needs a key with the scope {scope!r}; {self.name!r} has: {has}",
            headers={
                "WWW-Authenticate": f'Bearer realm="featuredrift", error="insufficient_scope", '
                f'scope="{scope}"'
            },
            required_scope=scope,
        )


def implied(scope: str) -> frozenset[str]:
    """A scope with all that it implies: read < write < admin; metrics stands beside them."""
    return _IMPLIED[scope]


LOCAL = Principal("local", implied("admin"))
"""Whoever reaches a server that needs no key."""


def principal_of(session: Session) -> Principal | None:
    """On whose behalf a transaction runs; None in processes that serve nobody."""
    found = session.info.get(PRINCIPAL)
    return found if isinstance(found, Principal) else None


def bound_models(session: Session) -> frozenset[str] | None:
    """The only models that exist for this transaction; None: all."""
    principal = principal_of(session)
    return principal.models if principal is not None else None


def only_model(session: Session) -> str | None:
    """The one model that the caller's key is bound to: what it makes beside models is about it."""
    bound = bound_models(session)
    return next(iter(bound)) if bound is not None and len(bound) == 1 else None


def require_models(session: Session, names: Sequence[str]) -> None:
    """Check that a transaction may bring something about for models that it names.

    Raises:
        MissingScopeError: the key is bound to others.
    """
    bound = bound_models(session)
    if bound is None:
        return
    for name in names:
        if name not in bound:
            raise MissingScopeError(
                f"the key is bound to {', '.join(sorted(bound))}; {name!r} needs another key",
                code="model_not_allowed",
                value=name,
            )


def share_with_own_models(session: Session, subject_id: UUID) -> None:
    """Let what a bound key registers exist for the key's models; for no one else bound."""
    for model in sorted(bound_models(session) or ()):
        session.add(ModelAccess(model=model, subject_id=subject_id))
    session.flush()


@contextmanager
def name_in_use(kind: str, name: str) -> Iterator[None]:
    """Answer for a name that is taken by what the key does not see.

    Raises:
        ConflictError: instead of NotFoundError.
    """
    try:
        yield
    except NotFoundError as error:
        raise ConflictError(
            f"the name {name!r} is taken by a {kind} that this key does not see; take another",
            code="name_taken",
            field="name",
            value=name,
        ) from error
