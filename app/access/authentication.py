"""From the header `Authorization: Bearer fd_…` to the principal."""

import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request

from app.access import keys_repository as repository
from app.access import sessions
from app.access.attempts import FailedAttempts
from app.access.keys_pepper import read_pepper
from app.access.keys_tables import ApiKey
from app.access.principals import LOCAL, Principal, implied
from app.core.clock import now
from app.core.database import Database
from app.core.errors import FeaturedriftError
from app.core.key_text import PREFIX, is_whole
from app.core.key_text import digest as digest_of
from app.settings import Settings

__all__ = ["AppPrincipal", "Authenticator", "Principal", "require"]

_CHALLENGE = 'Bearer realm="featuredrift"'
_HOW = "send `Authorization: Bearer fd_…`; `featuredrift keys create` makes a key"


_UNKNOWN = (
    "unknown_api_key",
    "nobody has this key, or it was replaced by a rotation; it is whole, so look at which "
    "deployment it is for",
)


class AuthenticationError(FeaturedriftError):
    """Nobody is authenticated: there is no key, or none that works."""

    status, code, title = 401, "missing_api_key", "Unauthorized"

    def __init__(self, detail: str, *, code: str) -> None:
        # RFC 6750: no error code where nothing was tried.
        tried = "" if code == "missing_api_key" else ', error="invalid_token"'
        super().__init__(detail, code=code, headers={"WWW-Authenticate": _CHALLENGE + tried})


class TooManyAttemptsError(FeaturedriftError):
    """An address has tried too many keys that do not work."""

    status, code, title = 429, "too_many_failed_attempts", "Too many requests"


class Authenticator:
    """Decides who a request comes from.

    Args:
        database: where the keys' digests are, unrestricted.
        clock: the time that expiry is judged by.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        attempts: FailedAttempts | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._pepper = read_pepper(settings)
        self.required = settings.require_keys
        self.attempts = attempts or FailedAttempts()
        # These two need no database: one starts a deployment, the other watches it fail.
        self._configured = tuple(
            (key.encode(), Principal(name, implied(scope)))
            for name, scope, key in (
                ("bootstrap", "admin", settings.bootstrap_key),
                ("metrics", "metrics", settings.metrics_key),
            )
            if key
        )

    def authenticate(self, header: str | None, address: str) -> Principal:
        """The principal of a request; a key of ours that is there must work, needed or not.

        Raises:
            AuthenticationError: there is no key and one is needed, or it does not work.
            TooManyAttemptsError: the address has tried too many.
        """
        if header is None:
            if self.required:
                raise AuthenticationError(f"this needs a key: {_HOW}", code="missing_api_key")
            return LOCAL
        scheme, _, key = header.partition(" ")
        key = key.strip()
        if not self.required and not (scheme.lower() == "bearer" and key.startswith(PREFIX)):
            # Meant for a proxy in front, which may pass it on.
            return LOCAL
        try:
            if scheme.lower() != "bearer" or not is_whole(key):
                self._refuse_if_shut_out(address, None)
                raise AuthenticationError(
                    "the Authorization header holds no whole key: its form or its checksum is "
                    f"wrong, so it was cut off or mistyped; {_HOW}",
                    code="malformed_api_key",
                )
            return self.principal_of_key(key, address)
        except AuthenticationError:
            self.attempts.failed(address)
            raise

    def principal_of_key(self, key: str, address: str) -> Principal:
        """The principal of a whole key. Failures are for the caller to count.

        Raises:
            AuthenticationError: nobody has this key, or it does not work any more.
            TooManyAttemptsError: the address has tried too many.
        """
        for configured, principal in self._configured:
            if hmac.compare_digest(configured, key.encode()):
                return principal
        # On a single machine the first `keys create` makes it, beside a server that already runs.
        self._pepper = self._pepper or read_pepper(self._settings)
        if self._pepper is None:
            raise AuthenticationError(
                "this server has no keys, because no secret is configured to digest them with; "
                "leave the Authorization header out, or set FEATUREDRIFT_KEY_PEPPER",
                code="unknown_api_key",
            )
        digest = digest_of(self._pepper, key)
        self._refuse_if_shut_out(address, digest)
        moment = self._clock()
        with self._database.unit_of_work() as session:
            row = repository.find_by_digest(session, digest, moment)
            reason = _ended(row, moment) if row is not None and _has(row, digest) else _UNKNOWN
            if row is not None and reason is None:
                repository.note_use(session, row, moment)
                self.attempts.worked(digest)
                return _principal(row)
        self.attempts.forget(digest)
        code, detail = reason or _UNKNOWN
        raise AuthenticationError(detail, code=code)

    def principal_of_session(
        self, identity: UUID, key_id: UUID, signed_in_at: datetime
    ) -> Principal | None:
        """The principal of a session of the web pages, if neither it nor its key has ended.

        Args:
            signed_in_at: when the key was checked; one that has been rotated since is another key,
                as soon as the one before it works no longer.
        """
        moment = self._clock()
        with self._database.unit_of_work() as session:
            row = repository.get_key(session, key_id)
            if row is None or _ended(row, moment) is not None:
                return None
            if _replaced(row, signed_in_at, moment) or sessions.has_ended(session, identity):
                return None
            return _principal(row)

    def _refuse_if_shut_out(self, address: str, digest: str | None) -> None:
        seconds = self.attempts.retry_after(address, digest)
        if seconds:
            raise TooManyAttemptsError(
                f"too many keys from this address did not work; wait {seconds} s, and look at "
                "which key is sent",
                headers={"Retry-After": str(seconds)},
            )


def _has(row: ApiKey, digest: str) -> bool:
    # An index has found the row; that it is this one is said in constant time.
    given = digest.encode()
    current = hmac.compare_digest(row.digest.encode(), given)
    previous = hmac.compare_digest((row.previous_digest or "").encode(), given)
    return current or previous


def _ended(row: ApiKey, moment: datetime) -> tuple[str, str] | None:
    """Code and detail of why a key does not work any more."""
    if row.revoked_at is not None:
        return "revoked_api_key", f"the key {row.name!r} was revoked at {row.revoked_at}"
    if row.expires_at is not None and row.expires_at <= moment:
        return "expired_api_key", f"the key {row.name!r} expired at {row.expires_at}; rotate it"
    return None


def _replaced(row: ApiKey, since: datetime, moment: datetime) -> bool:
    # Sessions know their begin to the second.
    if row.rotated_at is None or since >= row.rotated_at.replace(microsecond=0):
        return False
    return row.previous_expires_at is None or row.previous_expires_at <= moment


def _principal(row: ApiKey) -> Principal:
    models = frozenset(row.models) if row.models is not None else None
    return Principal(row.name, implied(row.scope), models, row.id)


async def current_principal(request: Request) -> Principal:
    """Who the request comes from.

    Raises:
        AuthenticationError: it has passed no authentication.
    """
    found = getattr(request.state, "principal", None)
    if not isinstance(found, Principal):
        raise AuthenticationError(f"this needs a key: {_HOW}", code="missing_api_key")
    return found


AppPrincipal = Annotated[Principal, Depends(current_principal)]


def require(scope: str) -> Any:
    """A dependency that lets only those through who have a scope."""

    async def check(principal: AppPrincipal) -> None:
        principal.need(scope)

    return Depends(check)
