"""Signatures by the Standard Webhooks scheme (v1: HMAC-SHA256 over `id.timestamp.body`)."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook as Signer

PREFIX = "whsec_"
_KEY_BYTES = 32


def new_secret() -> str:
    """A fresh signing secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def signed_headers(
    signing: Sequence[str], message_id: str, at: datetime, body: str
) -> dict[str, str]:
    """The scheme's three headers.

    Args:
        signing: the secrets, the newest first; each signs, so that a receiver that knows any one
            of them can verify.
        message_id: the same at each attempt.
        at: the moment of this attempt; its whole seconds are signed.
        body: exactly what is sent.
    """
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(
            Signer(secret).sign(msg_id=message_id, timestamp=at, data=body) for secret in signing
        ),
    }
