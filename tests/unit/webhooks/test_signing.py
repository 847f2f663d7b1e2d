"""Signatures against the scheme's text, worked out by hand, and against its reference package."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.core.clock import now
from app.webhooks.signing import new_secret, signed_headers

BODY = '{"type":"alert.opened","data":{"note":"größer"}}'


def test_a_secret_is_32_random_bytes_after_the_prefix() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32


def test_the_signature_is_hmac_sha256_over_id_timestamp_and_body() -> None:
    secret, at = new_secret(), datetime(2026, 11, 22, 9, 31, 0, 999_999, tzinfo=UTC)
    headers = signed_headers([secret], "msg_1", at, BODY)
    assert headers["webhook-id"] == "msg_1"
    assert headers["webhook-timestamp"] == "1795339860"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"msg_1.1795339860.{BODY}".encode(), hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_each_of_two_secrets_verifies_and_no_other() -> None:
    new, old = new_secret(), new_secret()
    headers = signed_headers([new, old], "msg_1", now(), BODY)
    for secret in (new, old):
        assert Webhook(secret).verify(BODY, headers)["type"] == "alert.opened"
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": str(int((now() + timedelta(seconds=90)).timestamp()))},
    ],
)
def test_what_is_signed_cannot_be_changed(change: dict[str, str]) -> None:
    secret = new_secret()
    headers = signed_headers([secret], "msg_1", now(), BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers | change)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + " ", headers)
