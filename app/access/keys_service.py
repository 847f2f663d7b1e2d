"""Making, rotating and revoking API keys."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.access import audit
from app.access import keys_repository as repository
from app.access.keys_schemas import (
    ApiKeyCreate,
    ApiKeyOut,
    ApiKeyWithSecret,
    KeyRotation,
    Revocation,
    utc,
)
from app.access.keys_tables import ApiKey
from app.access.principals import bound_models, principal_of, require_models
from app.core.clock import now
from app.core.errors import ConflictError, InvalidInputError, NotFoundError
from app.core.key_text import digest, hint, new_key


def require_pepper(pepper: bytes | None) -> bytes:
    """The secret that keys are digested with.

    Raises:
        ConflictError: there is none.
    """
    if pepper is None:
        raise ConflictError(
            "no key can be made, because no secret is configured to digest it with; set "
            "FEATUREDRIFT_KEY_PEPPER to at least 32 random characters, the same for all processes",
            code="no_key_pepper",
        )
    return pepper


def create(session: Session, body: ApiKeyCreate, pepper: bytes | None) -> tuple[ApiKey, str]:
    """A new key: its row, and the key itself, which nothing keeps.

    Raises:
        ConflictError: a working key has this name, or there is no pepper.
        InvalidInputError: a model does not exist, the end lies in the past, or the key is for
            metrics and would be bound.
        MissingScopeError: the caller's key is bound to other models.
    """
    secret = require_pepper(pepper)
    _check_end(body.expires_at)
    models = _models(session, body.models)
    if body.scope == "metrics" and models is not None:
        raise InvalidInputError(
            "a key for metrics cannot be bound to models, for the figures are of all; leave "
            "`models` out, and make it with a key that is bound to none",
            field="models",
            value=models,
        )
    principal = principal_of(session)
    key = new_key()
    try:
        with session.begin_nested():
            row = repository.add_key(
                session,
                name=body.name,
                scope=body.scope,
                models=models,
                digest=digest(secret, key),
                hint=hint(key),
                expires_at=utc(body.expires_at),
                created_by=principal.name if principal is not None else "cli",
            )
    except IntegrityError as error:
        raise ConflictError(
            f"there is a working key {body.name!r}; rotate or revoke it, or take another name",
            code="name_taken",
            field="name",
            value=body.name,
        ) from error
    _record(session, row, "created", body.by, scope=body.scope, models=models)
    return row, key


def rotate(
    session: Session, key_id: UUID, body: KeyRotation, pepper: bytes | None
) -> tuple[ApiKey, str]:
    """Replace a key; the old one works until the overlap is over, one before it ends at once.

    Raises:
        NotFoundError: there is no such key.
        ConflictError: it is revoked or expired, or there is no pepper.
    """
    secret = require_pepper(pepper)
    row = find_key(session, key_id, lock=True)
    if row.revoked_at is not None:
        raise ConflictError(
            f"the key {row.name!r} was revoked at {row.revoked_at}; make a new one",
            code="api_key_revoked",
            field="revoked_at",
            value=str(row.revoked_at),
        )
    moment = now()
    if "expires_at" in body.model_fields_set:
        _check_end(body.expires_at)
        row.expires_at = utc(body.expires_at)
    elif row.expires_at is not None and row.expires_at <= moment:
        raise ConflictError(
            f"the key {row.name!r} expired at {row.expires_at}; give a new expires_at with the "
            "rotation",
            code="api_key_expired",
            field="expires_at",
            value=str(row.expires_at),
        )
    key = new_key()
    row.previous_digest = row.digest if body.overlap else None
    row.previous_expires_at = moment + timedelta(seconds=body.overlap) if body.overlap else None
    row.digest, row.hint, row.rotated_at = digest(secret, key), hint(key), moment
    session.flush()
    _record(session, row, "rotated", body.by, overlap=body.overlap)
    return row, key


def revoke(session: Session, key_id: UUID, body: Revocation) -> ApiKey:
    """End a key at once, and the one before it; again, it changes nothing.

    Raises:
        NotFoundError: there is no such key.
    """
    row = find_key(session, key_id, lock=True)
    if row.revoked_at is None:
        row.revoked_at = now()
        row.previous_digest = row.previous_expires_at = None
        session.flush()
        _record(session, row, "revoked", body.by, note=body.note)
    return row


def find_key(session: Session, key_id: UUID, *, lock: bool = False) -> ApiKey:
    """A key by id.

    Raises:
        NotFoundError: there is none.
    """
    row = repository.get_key(session, key_id, lock=lock)
    if row is None:
        raise NotFoundError(
            f"there is no key {key_id}; GET /v1/api-keys lists them",
            code="unknown_key",
            field="key",
            value=str(key_id),
        )
    return row


def present(row: ApiKey) -> ApiKeyOut:
    """A key as it is answered."""
    here = f"/v1/api-keys/{row.id}"
    overlap = row.previous_expires_at
    return ApiKeyOut.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "scope": row.scope,
            "models": row.models,
            "hint": row.hint,
            "expires_at": row.expires_at,
            "previous_expires_at": overlap if overlap and overlap > now() else None,
            "rotated_at": row.rotated_at,
            "last_used_at": row.last_used_at,
            "revoked_at": row.revoked_at,
            "created_by": row.created_by,
            "created_at": row.created_at,
            "links": {"self": here, "revoke": f"{here}:revoke", "rotate": f"{here}:rotate"},
        }
    )


def present_with_key(row: ApiKey, key: str | None) -> ApiKeyWithSecret:
    """A key as it is answered the one time that it is shown, or as that is kept."""
    return ApiKeyWithSecret(**present(row).model_dump(), key=key)


def _models(session: Session, asked: tuple[str, ...] | None) -> list[str] | None:
    bound = bound_models(session)
    if asked is None:
        # "All" of a bound key is what it is bound to.
        return sorted(bound) if bound is not None else None
    require_models(session, asked)
    return sorted(set(asked))


def _check_end(moment: datetime | None) -> None:
    if moment is not None and moment <= now():
        raise InvalidInputError(
            f"{moment.isoformat()} is past; give a moment to come",
            field="expires_at",
            value=moment.isoformat(),
        )


def _record(session: Session, row: ApiKey, done: str, by: str, **detail: object) -> None:
    model = row.models[0] if row.models is not None and len(row.models) == 1 else None
    audit.record(
        session,
        actor=by,
        action=f"api_key.{done}",
        subject_id=row.id,
        detail={"name": row.name, **detail},
        model=model,
    )
