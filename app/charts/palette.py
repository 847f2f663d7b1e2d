"""Colours of the charts as CSS variables, for light and dark pages and for paper.

Every mark names a variable with the light colour as its fallback, so that a chart is legible in a
page without the stylesheet too. Verdicts also differ by shape and by label: colour only repeats
what those say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Colour:
    """One colour on a light and on a dark page, as `#rrggbb`."""

    light: str
    dark: str


COLOURS: Mapping[str, Colour] = MappingProxyType(
    {
        "surface": Colour("#ffffff", "#15191e"),
        "ink": Colour("#1b1f24", "#e8ebee"),
        "muted": Colour("#57606a", "#a9b3be"),
        "grid": Colour("#d8dde3", "#333b44"),
        "zone": Colour("#e6eff7", "#1f2d3b"),
        "band": Colour("#c3d9ee", "#2c4a67"),
        "line": Colour("#1f5a94", "#7db8f0"),
        "stable": Colour("#0b6650", "#4cc2a0"),
        "drifted": Colour("#ab3508", "#ff8f57"),
        "inconclusive": Colour("#57606a", "#a9b3be"),
        "insufficient": Colour("#57606a", "#a9b3be"),
        "untrusted": Colour("#7a3d8f", "#cf9ae3"),
        "invalid": Colour("#1b1f24", "#e8ebee"),
        "heat0": Colour("#f1f3f5", "#1d2329"),
        "heat1": Colour("#fdeedd", "#38291b"),
        "heat2": Colour("#fbd9b3", "#51361c"),
        "heat3": Colour("#f6bd82", "#68411d"),
        "heat4": Colour("#ef9f55", "#82501f"),
    }
)
"""Role → colour. Contrast of each against what it lies on is checked by WCAG 2.2 in the tests."""

PREFIX = "--chart-"


def paint(role: str) -> str:
    """The value of a `fill` or `stroke` attribute for a role of the palette."""
    return f"var({PREFIX}{role},{COLOURS[role].light})"


def _declarations(mode: str) -> str:
    return "".join(f"{PREFIX}{role}:{getattr(c, mode)};" for role, c in COLOURS.items())


def variables() -> str:
    """CSS that gives the colours their values: light, dark, and light again on paper."""
    light, dark = _declarations("light"), _declarations("dark")
    return (
        f":root{{{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        f"@media print{{:root{{{light}}}}}\n"
    )


def stylesheet() -> str:
    """CSS that a page with charts takes into its own stylesheet: colours and how charts lie in it.

    The charts hold no `<style>` and no `style` attribute, so that a strict Content-Security-Policy
    needs to know no more than this text. Wrap each chart in an element of the class `chart`; as
    that scrolls sideways on a narrow screen, it needs `tabindex="0"` and a name for the keyboard.
    """
    return variables() + (
        ".chart{overflow-x:auto}\n"
        ".chart svg{display:block;max-width:100%;min-width:36rem;height:auto}\n"
        "@media print{.chart{overflow:visible;break-inside:avoid}.chart svg{min-width:0;"
        "print-color-adjust:exact;-webkit-print-color-adjust:exact}}\n"
    )
