"""The signature of an MLflow webhook.

MLflow 3 signs as Standard Webhooks does, with headers of its own: HMAC-SHA256 over
`<delivery id>.<timestamp>.<body>`, keyed with the secret as it stands, in base64 after `v1,`
(MLflow documentation, "Webhooks", section "Verifying signatures"; `mlflow.webhooks.delivery`).
"""

import base64
import binascii
import hashlib
import hmac
import re

from app.core.errors import FeaturedriftError

VERSION = "v1"
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)
_DELIVERY = re.compile(r"[\x21-\x7e]{1,255}")


class NotConfiguredError(FeaturedriftError):
    """Nobody's message can be believed, because there is no secret to check it with."""

    status, code, title = 403, "mlflow_not_configured", "Not configured"


class SignatureError(FeaturedriftError):
    """The message does not show that it comes from whom the secret was given to."""

    status, code, title = 401, "invalid_signature", "Not authentic"


def sign(secret: str, delivery_id: str, timestamp: str, body: bytes) -> bytes:
    """The 32 bytes of the signature."""
    content = f"{delivery_id}.{timestamp}.".encode() + body
    return hmac.new(secret.encode(), content, hashlib.sha256).digest()


def verify(
    secret: str | None,
    *,
    delivery_id: str | None,
    timestamp: str | None,
    signature: str | None,
    body: bytes,
    now: float,
    tolerance: float,
) -> str:
    """The delivery's id, when the message is authentic and recent.

    Args:
        signature: one or more signatures, separated by spaces; one must fit.
        now: Unix time in seconds.
        tolerance: seconds that the timestamp may lie before or after now.

    Raises:
        NotConfiguredError: there is no secret.
        SignatureError: a header is missing or wrong, no signature fits, or it is too old.
    """
    if not secret:
        raise NotConfiguredError(
            "webhooks of MLflow are not accepted, because no secret is configured to check them "
            "with; set FEATUREDRIFT_MLFLOW_WEBHOOK_SECRET to the secret of the webhook in MLflow"
        )
    given = {
        "X-MLflow-Delivery-Id": delivery_id,
        "X-MLflow-Timestamp": timestamp,
        "X-MLflow-Signature": signature,
    }
    for header, value in given.items():
        if not value:
            raise SignatureError(
                f"the header {header} is missing; create the webhook in MLflow with a secret",
                code="signature_missing",
                field=header,
            )
    found_id, found_time, found = str(delivery_id), str(timestamp), str(signature)
    expected = sign(secret, found_id, found_time, body)
    # Every candidate is compared, in constant time, whatever the one before it gave.
    fits = [hmac.compare_digest(expected, candidate) for candidate in _candidates(found)]
    if not any(fits):
        raise SignatureError(
            "the signature does not fit the message; the webhook's secret in MLflow and "
            "FEATUREDRIFT_MLFLOW_WEBHOOK_SECRET must be the same, and nothing between may change "
            "the body",
            field="X-MLflow-Signature",
        )
    if not _SECONDS.fullmatch(found_time) or abs(now - int(found_time)) > tolerance:
        raise SignatureError(
            f"the timestamp lies more than {tolerance:g} s from this machine's clock; old messages "
            "are not accepted again, and both clocks must be right",
            code="timestamp_out_of_tolerance",
            field="X-MLflow-Timestamp",
            value=found_time,
        )
    if not _DELIVERY.fullmatch(found_id):
        raise SignatureError(
            "the delivery id is no plain text of at most 255 characters",
            field="X-MLflow-Delivery-Id",
            value=found_id,
        )
    return found_id


def _candidates(header: str) -> list[bytes]:
    found = []
    for part in header.split():
        version, separator, text = part.partition(",")
        if not separator or version != VERSION:
            continue
        try:
            found.append(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            continue
    return found
