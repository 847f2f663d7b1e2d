"""Whose fault it is when a side of an evaluation cannot be read."""

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from app.evaluations.ledger import StaleAttempt
from workers.errors import EvaluationError
from workers.pipeline.question import SideUnusableError, blaming


@pytest.mark.parametrize("role", ["previous", "benign:1"])
def test_a_store_that_stays_away_does_not_condemn_the_evaluation_for_an_optional_side(
    role: str,
) -> None:
    with (
        pytest.raises(SideUnusableError, match="ConnectionError: no route") as given_up,
        blaming(role, last_attempt=True),
    ):
        raise ConnectionError("no route")
    assert given_up.value.role == role
    # Before the last attempt it may still pass by itself.
    with pytest.raises(ConnectionError), blaming(role):
        raise ConnectionError("no route")


@pytest.mark.parametrize("role", ["candidate", "baseline"])
def test_the_sides_that_are_judged_are_never_given_up(role: str) -> None:
    for error in (ConnectionError("no route"), EvaluationError("source_missing", "nothing there")):
        with pytest.raises(type(error)), blaming(role, last_attempt=True):
            raise error


@pytest.mark.parametrize("signal", [StaleAttempt("lost"), SoftTimeLimitExceeded()])
def test_a_signal_to_stop_is_nobodys_fault(signal: Exception) -> None:
    with pytest.raises(type(signal)), blaming("previous", last_attempt=True):
        raise signal
