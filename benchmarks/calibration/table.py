"""What a section found: rows of one table, with the band that chance alone explains."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy import stats

Outcome = Literal["pass", "FAIL", "shown", "not run"]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    case: str
    wanted: str
    measured: str
    outcome: Outcome
    """`shown` is a figure without a limit; `not run` says why in `measured`."""
    others: tuple[str, ...] = ()
    """Further figures beside the one that is judged, under the table's `columns`."""


@dataclass(frozen=True)
class Table:
    """The rows of one section."""

    title: str
    how: str
    """How it was made, for a reader who wants to object."""
    rows: Sequence[Row] = field(default_factory=tuple)
    measured: str = "measured"
    """Heading of what is judged."""
    columns: tuple[str, ...] = ()
    """Headings of what stands beside it."""

    @property
    def failed(self) -> list[Row]:
        """The rows that miss what was wanted."""
        return [row for row in self.rows if row.outcome == "FAIL"]


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval of a share (Clopper and Pearson 1934).

    Raises:
        ValueError: there is no trial.
    """
    if trials < 1:
        raise ValueError(f"{trials} trials have no share; run at least 1")
    found = stats.binomtest(int(successes), int(trials)).proportion_ci(confidence, "exact")
    return float(found.low), float(found.high)


def at_most(case: str, limit: float, successes: int, trials: int, what: str) -> Row:
    """A share that must not exceed a limit; it fails where chance does not explain the excess."""
    low, high = clopper_pearson(successes, trials)
    return Row(
        case,
        f"≤ {percent(limit)}",
        f"{percent(successes / trials)} [{percent(low)}, {percent(high)}] of {trials} {what}",
        "FAIL" if low > limit else "pass",
    )


def at_least(case: str, limit: float, successes: int, trials: int, what: str) -> Row:
    """A share that must reach a limit; it fails where chance does not explain the lack."""
    low, high = clopper_pearson(successes, trials)
    return Row(
        case,
        f"≥ {percent(limit)}",
        f"{percent(successes / trials)} [{percent(low)}, {percent(high)}] of {trials} {what}",
        "FAIL" if high < limit else "pass",
    )


def mean_at_most(case: str, limit: float, values: Sequence[float], what: str) -> Row:
    """A mean over independent sets that must not exceed a limit, with its t interval."""
    x = np.asarray(values, float)
    mean = float(x.mean())
    reach = float(stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Row(
        case,
        f"≤ {percent(limit)}",
        f"{percent(mean)} [{percent(max(mean - reach, 0))}, {percent(mean + reach)}] "
        f"over {len(x)} {what}",
        "FAIL" if mean - reach > limit else "pass",
    )


def percent(share: float) -> str:
    """A share for a person: 4.9%, 99.97%, 0.03%."""
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f}%"
    return f"{value:.2f}%" if value < 0.1 or value > 99.9 else f"{value:.1f}%"


def markdown(table: Table) -> str:
    """The section as a heading, a paragraph and a table."""
    heads = ("case", "wanted", table.measured, "", *table.columns)
    lines = [f"## {table.title}", "", table.how, "", _line(heads), "|" + "---|" * len(heads)]
    for row in table.rows:
        others = row.others or ("",) * len(table.columns)
        lines.append(_line((row.case, row.wanted, row.measured, row.outcome, *others)))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
