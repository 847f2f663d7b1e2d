"""Passages as runs of text that a page shades by activation, on both sides by the same scale."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil

from app.reports.parts import Passage
from app.reports.text import token
from app.reports.words import number

LEVELS = 5
COMPACT = 7
"""Tokens on either side of the place, where room is short."""
LONGEST = 120
"""Characters of one token or word; of a longer one the first are shown."""


@dataclass(frozen=True)
class Run:
    """Tokens of one side that are shown alike.

    Attributes:
        level: 0 is unshaded; `LEVELS` is the strongest of the feature's passages.
        sign: `p` above 0, `n` below.
        value: the activation, of a shaded token.
        peak: whether this is the place that the passage was chosen for.
    """

    text: str
    level: int = 0
    sign: str = ""
    value: str = ""
    peak: bool = False


@dataclass(frozen=True)
class Shaded:
    """One passage, ready to be shown side by side."""

    kind: str
    document: str
    start: int
    end: int
    before: tuple[Run, ...]
    after: tuple[Run, ...]


def shade(passages: Sequence[Passage], compact: bool = False) -> tuple[Shaded, ...]:
    """All passages of a feature; the strongest activation of any of them is the darkest.

    Args:
        compact: few tokens around the place that was chosen, those of one shade together.
    """
    largest = max(
        (abs(value) for p in passages for u in p.units for value in (u.baseline, u.candidate)),
        default=0.0,
    )
    return tuple(
        Shaded(
            kind=passage.kind,
            document=passage.document,
            start=passage.start,
            end=passage.end,
            before=_side(passage, "baseline", largest, compact),
            after=_side(passage, "candidate", largest, compact),
        )
        for passage in passages
    )


def _side(passage: Passage, side: str, largest: float, compact: bool) -> tuple[Run, ...]:
    if not compact:
        return tuple(_runs(passage, side, largest))
    start = max(0, passage.peak - COMPACT)
    units = passage.units[start : passage.peak + COMPACT + 1]
    window = passage.model_copy(update={"units": units, "peak": passage.peak - start})
    alike = groupby(_runs(window, side, largest), key=lambda run: (run.level, run.sign, run.peak))
    joined = []
    for (level, sign, peak), runs in alike:
        found = list(runs)
        value = found[0].value if peak else ""
        joined.append(Run("".join(run.text for run in found), level, sign, value, peak))
    return tuple(joined)


def _runs(passage: Passage, side: str, largest: float) -> Iterator[Run]:
    plain = ""
    for position, unit in enumerate(passage.units):
        value = unit.baseline if side == "baseline" else unit.candidate
        # A fifth of a fifth of the strongest is not worth a shade.
        level = ceil(LEVELS * abs(value) / largest - 0.2) if largest else 0
        peak = position == passage.peak
        text = token(unit.text if len(unit.text) <= LONGEST else f"{unit.text[:LONGEST]}…")
        if level <= 0 and not peak:
            plain += text
            continue
        if plain:
            yield Run(plain)
            plain = ""
        yield Run(
            text=text or "∅",
            level=max(0, min(LEVELS, level)),
            sign="n" if value < 0 else "p",
            value=number(value, 2),
            peak=peak,
        )
    if plain:
        yield Run(plain)
