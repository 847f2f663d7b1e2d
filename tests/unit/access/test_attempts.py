"""Failed attempts are limited by address, in bounded memory, and nobody else pays for them."""

import pytest

from app.access import attempts
from app.access.attempts import ALLOWED, WINDOW, FailedAttempts


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limited(clock: Clock) -> FailedAttempts:
    return FailedAttempts(clock)


def fail(limited: FailedAttempts, address: str, times: int) -> None:
    for _ in range(times):
        limited.failed(address)


def test_the_last_allowed_failure_shuts_the_address_out(
    limited: FailedAttempts, clock: Clock
) -> None:
    fail(limited, "192.0.2.1", ALLOWED - 1)
    assert limited.retry_after("192.0.2.1", None) == 0

    limited.failed("192.0.2.1")

    assert limited.retry_after("192.0.2.1", None) == WINDOW
    assert limited.retry_after("192.0.2.2", None) == 0


@pytest.mark.parametrize(
    "form", ["192.0.2.1:{}", "[2001:db8::1]:{}", "nowhere{}", ":" * 5000 + "{}"]
)
def test_neither_a_port_nor_nonsense_makes_another_address(
    limited: FailedAttempts, form: str
) -> None:
    for number in range(ALLOWED):
        limited.failed(form.format(number))

    assert limited.retry_after(form.format("77"), None) == WINDOW
    assert len(limited) == 1


def test_what_it_is_told_to_wait_is_enough(limited: FailedAttempts, clock: Clock) -> None:
    fail(limited, "192.0.2.1", ALLOWED)
    clock.now += 12.3
    wait = limited.retry_after("192.0.2.1", None)
    assert wait == 48

    clock.now += wait

    assert limited.retry_after("192.0.2.1", None) == 0
    limited.failed("192.0.2.1")
    assert limited.retry_after("192.0.2.1", None) == 0


def test_a_key_that_has_worked_goes_on_working(limited: FailedAttempts, clock: Clock) -> None:
    limited.worked("good")
    fail(limited, "192.0.2.1", ALLOWED + 5)

    assert limited.retry_after("192.0.2.1", "good") == 0
    assert limited.retry_after("192.0.2.1", "guess") > 0
    limited.forget("good")
    assert limited.retry_after("192.0.2.1", "good") > 0


def test_one_customers_ipv6_addresses_count_together(limited: FailedAttempts) -> None:
    for part in range(ALLOWED):
        limited.failed(f"2001:db8:1:2::{part:x}")

    assert limited.retry_after("2001:db8:1:2:ffff::1", None) > 0
    assert limited.retry_after("2001:db8:1:3::1", None) == 0
    fail(limited, "::ffff:192.0.2.7", ALLOWED)
    assert limited.retry_after("192.0.2.7", None) > 0


def test_memory_is_bounded(limited: FailedAttempts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MAX_ADDRESSES", 100)
    monkeypatch.setattr(attempts, "MAX_KNOWN", 100)
    for number in range(1000):
        limited.failed(f"10.0.{number // 256}.{number % 256}")
        limited.worked(f"digest {number}")

    assert len(limited) == 100
    assert len(limited._known) == 100
    fail(limited, "10.0.3.231", ALLOWED)
    assert limited.retry_after("10.0.3.231", None) > 0
