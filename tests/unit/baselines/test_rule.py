"""The rule on its own, at its edges."""

import pytest

from workers.baselines.aurocs import Auroc
from workers.baselines.rule import Bounds, earns_keep

FAR = Bounds(0.3, 0.25, 0.35)
EVEN = Bounds(0.0, -0.01, 0.01)
WORSE = Bounds(-0.2, -0.25, -0.15)
VAGUE = Bounds(0.0, -0.2, 0.2)


@pytest.mark.parametrize(
    ("probe", "means", "lookup", "verdict", "words"),
    [
        (EVEN, EVEN, FAR, "yes", "better than a token lookup by 0.300"),
        (EVEN, EVEN, Bounds(0.01, 0.005, 0.015), "no", "a token lookup does as well"),
        (EVEN, EVEN, Bounds(0.03, 0.005, 0.055), "yes", "interval 0.005 to 0.055"),
        (WORSE, EVEN, FAR, "no", "worse than a logistic probe by 0.200 (interval 0.150 to 0.250)"),
        (EVEN, WORSE, FAR, "no", "worse than a difference of means"),
        (EVEN, EVEN, WORSE, "no", "worse than a token lookup"),
        (EVEN, EVEN, EVEN, "no", "a token lookup does as well"),
        (VAGUE, VAGUE, EVEN, "no", "a token lookup does as well"),
        (EVEN, EVEN, VAGUE, "not_shown", "not shown to beat a token lookup"),
        (VAGUE, EVEN, FAR, "not_shown", "not shown to keep up with a logistic probe"),
        (None, EVEN, FAR, "not_shown", "a logistic probe could not be fitted"),
        (EVEN, EVEN, None, "not_shown", "a token lookup could not be fitted"),
        (WORSE, EVEN, None, "no", "worse than a logistic probe"),
    ],
)
def test_every_case(
    probe: Bounds | None, means: Bounds, lookup: Bounds | None, verdict: str, words: str
) -> None:
    bounds = {"probe": probe, "difference_of_means": means, "token_lookup": lookup}
    found, reason = earns_keep(Auroc(0.9, 0.85, 0.93, 100, 80, 60.0), bounds, 0.02)
    assert found == verdict
    assert words in reason


def test_what_is_no_better_than_chance_earns_nothing() -> None:
    bounds = {"probe": EVEN, "difference_of_means": EVEN, "token_lookup": FAR}
    found, reason = earns_keep(Auroc(0.53, 0.49, 0.57, 100, 80, 60.0), bounds, 0.02)
    assert found == "not_shown"
    assert "chance" in reason
