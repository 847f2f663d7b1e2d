"""The shares of the false-page budget: they never end, and never exceed the budget."""

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.monitors.page_budget import Budget, affordable, quarter_of, share
from app.monitors.policy import PagePolicy

POLICIES = st.builds(
    PagePolicy,
    alpha=st.floats(1e-6, 0.499),
    planned_checkpoints=st.integers(1, 200),
    planned_share=st.floats(0.01, 0.99),
)


def test_the_planned_evaluations_divide_their_share_evenly() -> None:
    policy = PagePolicy(alpha=0.05, planned_checkpoints=13, planned_share=0.8)
    shares = [share(ordinal, policy) for ordinal in range(1, 14)]
    assert shares == [pytest.approx(0.05 * 0.8 / 13)] * 13


def test_the_evaluations_beyond_share_the_rest_without_end() -> None:
    policy = PagePolicy(alpha=0.05, planned_checkpoints=2, planned_share=0.8)
    beyond = [share(ordinal, policy) for ordinal in range(3, 20_000)]
    assert beyond[0] == pytest.approx(0.01 * 0.6079271)
    assert beyond[1] == pytest.approx(beyond[0] / 4)
    assert sum(beyond) == pytest.approx(0.01, rel=1e-4)


@given(policy=POLICIES, evaluations=st.integers(1, 2000))
def test_no_number_of_evaluations_overspends(policy: PagePolicy, evaluations: int) -> None:
    spent = 0.0
    for ordinal in range(1, evaluations + 1):
        wanted = share(ordinal, policy)
        granted = affordable(wanted, policy.alpha, spent)
        assert granted == wanted > 0
        spent += granted
    assert spent <= policy.alpha * (1 + 1e-9)


@given(alphas=st.lists(st.floats(1e-4, 0.4), min_size=1, max_size=40))
def test_a_budget_that_changes_within_the_quarter_never_exceeds_its_largest(
    alphas: list[float],
) -> None:
    spent = 0.0
    for ordinal, largest in enumerate(accumulate(alphas, max), start=1):
        policy = PagePolicy(alpha=alphas[ordinal - 1], planned_checkpoints=3)
        spent += affordable(share(ordinal, policy), policy.alpha, spent)
        assert spent <= largest * (1 + 1e-9)


def test_ordinals_start_at_one() -> None:
    with pytest.raises(ValueError, match="start at 1, not 0"):
        share(0, PagePolicy())


@pytest.mark.parametrize(
    ("moment", "quarter"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1)),
        (datetime(2026, 3, 31, 23, 59, tzinfo=UTC), date(2026, 1, 1)),
        (datetime(2026, 11, 22, tzinfo=UTC), date(2026, 10, 1)),
        # Midnight in Paris is still the old quarter in UTC.
        (datetime(2026, 7, 1, 0, 30, tzinfo=timezone(timedelta(hours=2))), date(2026, 4, 1)),
    ],
)
def test_quarters_are_of_the_calendar_in_utc(moment: datetime, quarter: date) -> None:
    assert quarter_of(moment) == quarter


def test_what_remains_is_a_ratio_that_is_never_negative() -> None:
    quarter = date(2026, 10, 1)
    assert Budget(quarter, 0.05, 0.01).remaining_ratio == pytest.approx(0.8)
    assert Budget(quarter, 0.01, 0.05).remaining_ratio == 0
