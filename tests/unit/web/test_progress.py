"""How far, how fast, how long still: nothing is claimed before it can be told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core.clock import now
from app.web.formats import ago, duration
from app.web.progress import Progress, progress_of

BEGUN = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def at(seconds: float, **changes: Any) -> Progress:
    values: dict[str, Any] = {
        "state": "running",
        "step": "capture",
        "done": 0,
        "total": 10,
        "finished": 0,
        "started_at": BEGUN,
        "ended_at": None,
        "moment": BEGUN + timedelta(seconds=seconds),
    }
    return progress_of(**(values | changes))


def test_before_it_begins_nothing_is_known() -> None:
    found = at(60, state="queued", step="plan", started_at=None, total=1)

    assert (found.doing, found.elapsed, found.rate, found.left) == (
        "waiting for a worker",
        None,
        None,
        None,
    )


def test_the_rate_is_of_shards_that_ended_in_this_work() -> None:
    # Six of the eight were there already, captured for another evaluation.
    found = at(120, done=8, finished=2)

    assert found.rate == pytest.approx(1.0)
    assert found.left == pytest.approx(120.0)
    assert found.tenths == 8


def test_until_the_plan_is_made_no_time_is_promised() -> None:
    assert at(30, step="plan", done=1, total=2, finished=1).left is None


def test_at_the_end_it_says_what_it_took() -> None:
    ended = BEGUN + timedelta(seconds=90)
    found = at(9999, state="succeeded", step="done", done=10, finished=10, ended_at=ended)

    assert (found.elapsed, found.left, found.doing) == (90.0, None, "done")


def test_a_clock_that_is_behind_promises_nothing_odd() -> None:
    found = at(-5, done=1, finished=1)

    assert (found.elapsed, found.rate, found.left) == (0.0, None, None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (-3, "0 s"),
        (0.4, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_how_long_ago() -> None:
    moment = now()
    assert ago(None) == "never"
    assert ago(moment + timedelta(minutes=5)) == "just now"
    assert ago(moment - timedelta(minutes=1, seconds=5)) == "1 minute ago"
    assert ago(moment - timedelta(hours=25)) == "1 day ago"
    assert ago(moment - timedelta(days=9, hours=1)) == "9 days ago"
