"""Only what the registry signed, and signed just now, is believed."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from app.integrations.mlflow.signature import NotConfiguredError, SignatureError, sign, verify

SECRET, ID, TIME, BODY = "s", "id", "1700000000", b'{"a": 1}'
# What `mlflow.webhooks.delivery` of MLflow 3.17.2 puts into the header for these.
BY_MLFLOW = "v1,c148ftHs2VHBryHiFBprSNQsq5n4u+Mwkf6f1R+jPmY="


def check(**changes: Any) -> str:
    known: dict[str, Any] = {
        "delivery_id": ID,
        "timestamp": TIME,
        "signature": BY_MLFLOW,
        "body": BODY,
        "now": 1700000100.0,
        "tolerance": 300.0,
    }
    secret = changes.pop("secret", SECRET)
    return verify(secret, **(known | changes))


def test_what_mlflow_signed_is_authentic() -> None:
    assert check() == ID


def test_the_signature_is_the_documented_one() -> None:
    """Computed as the section "Verifying signatures" of MLflow's documentation does it."""
    content = f"{ID}.{TIME}.{BODY.decode()}"
    digest = hmac.new(SECRET.encode("utf-8"), content.encode("utf-8"), hashlib.sha256).digest()
    assert f"v1,{base64.b64encode(digest).decode()}" == BY_MLFLOW
    assert sign(SECRET, ID, TIME, BODY) == digest


def test_what_mlflow_signed_of_other_alphabets_is_authentic() -> None:
    body = json.dumps({"data": {"name": "modèle 'x'", "n": 1.5}}).encode()
    signature = "v1,qiJrcON+5ZLopyWWdLajYoJK8E9G2U2hdi5IKwhuYus="
    found = check(secret="p@ss wörd", signature=signature, delivery_id="6f1c-aa", body=body)
    assert found == "6f1c-aa"


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "t"},
        {"body": b'{"a": 2}'},
        {"body": b'{"a":1}'},
        {"delivery_id": "other"},
        {"timestamp": "1700000001"},
        {"signature": "v1,"},
        {"signature": "v1,%%%"},
        {"signature": BY_MLFLOW.removeprefix("v1,")},
        {"signature": BY_MLFLOW.replace("v1", "v2")},
        {"signature": BY_MLFLOW[:-4]},
        {"signature": "v1,\xff"},
    ],
)
def test_what_was_signed_otherwise_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SignatureError, match="does not fit") as caught:
        check(**changes)
    assert caught.value.status == 401


@pytest.mark.parametrize("missing", ["delivery_id", "timestamp", "signature"])
@pytest.mark.parametrize("nothing", [None, ""])
def test_a_missing_header_is_named(missing: str, nothing: str | None) -> None:
    with pytest.raises(SignatureError, match="is missing") as caught:
        check(**{missing: nothing})
    assert str(caught.value.field).startswith("X-MLflow-")


@pytest.mark.parametrize(("now", "fine"), [(299, True), (-299, True), (301, False), (-301, False)])
def test_an_old_message_is_refused_and_so_is_one_from_the_future(now: int, fine: bool) -> None:
    if fine:
        assert check(now=1700000000.0 + now) == ID
    else:
        with pytest.raises(SignatureError, match="more than 300 s"):
            check(now=1700000000.0 + now)


def test_a_timestamp_that_is_no_number_is_refused_though_signed() -> None:
    text = base64.b64encode(sign(SECRET, ID, "soon", BODY)).decode()
    with pytest.raises(SignatureError, match="clock"):
        check(timestamp="soon", signature=f"v1,{text}")


def test_one_of_several_signatures_suffices() -> None:
    assert check(signature=f"v1,AAAA v2,x {BY_MLFLOW}") == ID


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_nothing_is_believed(secret: str | None) -> None:
    with pytest.raises(NotConfiguredError, match="FEATUREDRIFT_MLFLOW_WEBHOOK_SECRET") as caught:
        check(secret=secret)
    assert (caught.value.status, caught.value.code) == (403, "mlflow_not_configured")
