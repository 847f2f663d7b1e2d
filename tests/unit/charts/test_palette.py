"""Contrast by WCAG 2.2, on light and on dark: text 4.5 to 1, signs 3 to 1."""

from itertools import pairwise

import pytest

from app.charts.palette import COLOURS, paint, stylesheet
from app.charts.verdicts import LOOKS

GROUNDS = ("surface", "zone", "band")
HEAT = ("heat0", "heat1", "heat2", "heat3", "heat4")


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio (WCAG 2.2), from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_yardstick_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "ground"),
    [
        *(("ink", ground) for ground in (*GROUNDS, *HEAT)),
        ("muted", "surface"),
    ],
)
def test_text_can_be_read(front: str, ground: str, mode: str) -> None:
    ratio = contrast(getattr(COLOURS[front], mode), getattr(COLOURS[ground], mode))
    assert ratio >= 4.5, f"{front} on {ground}, {mode}: {ratio:.2f}"


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("front", [*LOOKS, "muted", "line", "ink"])
@pytest.mark.parametrize("ground", GROUNDS)
def test_signs_and_lines_can_be_seen(front: str, ground: str, mode: str) -> None:
    ratio = contrast(getattr(COLOURS[front], mode), getattr(COLOURS[ground], mode))
    assert ratio >= 3, f"{front} on {ground}, {mode}: {ratio:.2f}"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_shades_of_the_heat_map_go_one_way(mode: str) -> None:
    steps = [luminance(getattr(COLOURS[shade], mode)) for shade in HEAT]
    assert steps == sorted(steps, reverse=mode == "light")
    assert min(abs(a - b) for a, b in pairwise(steps)) > 0.005


def test_verdicts_differ_without_their_colours() -> None:
    signs = [(look.shape, look.filled) for look in LOOKS.values()]
    assert len(set(signs)) == len(signs)
    letters = [look.letter for look in LOOKS.values()]
    assert len(set(letters)) == len(letters)


def test_the_stylesheet_knows_every_colour_in_both_modes_and_prints_light() -> None:
    light, dark, printed = stylesheet().split("@media")[:3]
    for role, colour in COLOURS.items():
        assert f"--chart-{role}:{colour.light};" in light
        assert f"--chart-{role}:{colour.dark};" in dark
        assert f"--chart-{role}:{colour.light};" in printed
        assert paint(role) == f"var(--chart-{role},{colour.light})"
    assert "prefers-color-scheme:dark" in dark
    assert printed.lstrip().startswith("print")
