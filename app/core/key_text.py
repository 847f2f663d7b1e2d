"""API keys as text: random, with a checksum, and known to the server by an HMAC only.

`fd_`, 48 hexadecimal digits (192 random bits), and 8 digits of the SHA-256 of what stands before
them. A key that was cut off or mistyped is told from one that nobody has made without a look into
the database; who guesses can compute the checksum, and still has 192 bits to guess.

Imports nothing of the system: it is part of the settings, which everything imports.
"""

import hashlib
import hmac
import re
import secrets

PREFIX = "fd_"
_RANDOM_BYTES = 24
_CHECK_DIGITS = 8
_FORM = re.compile(r"fd_[0-9a-f]{56}")
_HINT = len(PREFIX) + 6


def new_key() -> str:
    """A new key; it is shown once, and nothing but its digest is kept."""
    body = PREFIX + secrets.token_hex(_RANDOM_BYTES)
    return body + _checksum(body)


def is_whole(text: str) -> bool:
    """Whether a text has the form of a key, and its checksum fits."""
    if not _FORM.fullmatch(text):
        return False
    body = text[:-_CHECK_DIGITS]
    return hmac.compare_digest(_checksum(body), text[-_CHECK_DIGITS:])


def hint(key: str) -> str:
    """The key's beginning, to tell keys apart by; it says 24 of 192 random bits."""
    return f"{key[:_HINT]}…"


def digest(pepper: bytes, key: str) -> str:
    """HMAC-SHA256 of a key in hexadecimal: a stolen table is of no use without the pepper."""
    return hmac.new(pepper, key.encode(), hashlib.sha256).hexdigest()


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:_CHECK_DIGITS]
