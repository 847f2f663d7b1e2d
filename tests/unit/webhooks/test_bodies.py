"""What is sent, how large it may be, and how long is waited between attempts."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.core.clock import now
from app.settings import Settings
from app.webhooks.events import MAX_BODY_BYTES, write_body
from app.webhooks.ledger import pause_after

DELAYS = Settings().webhook_retry_delays


def test_a_body_has_type_timestamp_and_data_as_json() -> None:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    body = write_body("alert.opened", {"id": UUID(int=1), "at": at, "score": float("nan")})
    document = json.loads(body)
    assert document["type"] == "alert.opened"
    assert document["data"] == {
        "id": "00000000-0000-0000-0000-000000000001",
        "at": "2026-11-22T00:00:00Z",
        "score": None,
    }
    sent = datetime.fromisoformat(document["timestamp"])
    assert abs((now() - sent).total_seconds()) < 60


def test_a_body_over_the_limit_leaves_out_its_largest_fields_and_says_so() -> None:
    data = {"id": "a", "evidence": "x" * MAX_BODY_BYTES, "passages": ["ü" * 60_000], "note": "n"}
    body = write_body("alert.opened", data)
    assert len(body.encode()) <= MAX_BODY_BYTES
    kept = json.loads(body)["data"]
    assert kept == {"id": "a", "note": "n", "omitted": ["passages", "evidence"]}


@pytest.mark.parametrize("failures", range(1, len(DELAYS) + 3))
def test_pauses_follow_the_schedule_with_jitter(failures: int) -> None:
    expected = DELAYS[min(failures, len(DELAYS)) - 1]
    drawn = [pause_after(failures, DELAYS, None) for _ in range(200)]
    assert 0.8 * expected <= min(drawn) < max(drawn) <= 1.2 * expected


def test_retry_after_is_kept_to_up_to_a_day() -> None:
    assert pause_after(1, DELAYS, 60.0) == 60.0
    assert pause_after(1, DELAYS, 1e9) == 86_400.0
    assert pause_after(4, DELAYS, 1.0) >= 0.8 * 7200
