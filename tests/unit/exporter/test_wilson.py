"""The exporter's interval of a share, against statsmodels."""

import pytest
from statsmodels.stats.proportion import proportion_confint

from app.exporter.take import wilson


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (1, 2), (7, 12), (10, 16384)])
@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_wilson_agrees_with_statsmodels(successes: int, trials: int, alpha: float) -> None:
    expected = proportion_confint(successes, trials, alpha=alpha, method="wilson")

    assert wilson(successes, trials, alpha) == pytest.approx(expected, abs=1e-12)
