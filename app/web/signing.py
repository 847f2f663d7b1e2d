"""Signed values that browsers keep for us: what is signed, for how long it is good, with what."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from threading import Lock
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer

from app.access.kept_secrets import make_secret
from app.core.logging import get_logger
from app.settings import Settings

SECRET_FILE = "session_secret"  # noqa: S105 - a file's name
_SIGNER = {"key_derivation": "hmac", "digest_method": hashlib.sha256}

log = get_logger(__name__)


class Signer:
    """Signs and reads values; the secret is looked for when it is first needed.

    Args:
        settings: name the secret, and how long sessions last.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()

    def sign(self, purpose: str, value: Any) -> str:
        """A value that only whoever has the secret can make, fit for a cookie or a form."""
        return str(self._serializer(purpose).dumps(value))

    def read(self, purpose: str, signed: str, max_age: float) -> tuple[Any, datetime] | None:
        """A value and when it was signed; None where it is forged, too old, or of other use.

        Args:
            max_age: seconds that it is good for.
        """
        try:
            value, moment = self._serializer(purpose).loads(
                signed, max_age=int(max_age), return_timestamp=True
            )
        except BadData:
            return None
        return value, moment.astimezone(UTC)

    def _serializer(self, purpose: str) -> URLSafeTimedSerializer:
        with self._lock:
            keys = self._keys
        # The library takes the oldest first and signs with the last.
        return URLSafeTimedSerializer(
            list(reversed(keys)), salt=f"featuredrift.{purpose}", signer_kwargs=_SIGNER
        )

    @cached_property
    def _keys(self) -> Sequence[bytes]:
        return session_secrets(self._settings)


def session_secrets(settings: Settings) -> list[bytes]:
    """The secrets that sessions are signed with, the one that signs first."""
    if settings.session_secret:
        return [part.strip().encode() for part in settings.session_secret.split(",")]
    if settings.key_pepper:
        # All processes of a deployment have the pepper, so that a session holds at each of them.
        return [hmac.digest(settings.key_pepper.encode(), b"featuredrift sessions", "sha256")]
    file = settings.data_dir.resolve() / SECRET_FILE
    try:
        return [make_secret(file)]
    except OSError as error:
        log.warning(
            "sessions of web pages end with this process: their secret cannot be kept; set "
            "FEATUREDRIFT_SESSION_SECRET",
            file=str(file),
            error=str(error),
        )
        return [secrets.token_bytes(32)]
