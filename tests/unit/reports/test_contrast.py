"""Texts and shades keep the contrast that WCAG 2.2 AA asks for, light, dark and printed."""

import re
from importlib.resources import files

import pytest

STYLE = files("app.reports").joinpath("templates/report.css").read_text()
MODES = {
    "light": re.findall(r"^:root\{(.*?)\}", STYLE, re.DOTALL)[0],
    "dark": re.findall(r"prefers-color-scheme:dark\)\{:root\{(.*?)\}", STYLE, re.DOTALL)[0],
    "print": re.findall(r"@media print\{:root\{(.*?)\}", STYLE, re.DOTALL)[0],
}


def colours(mode: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z0-9]+):(#[0-9a-f]{3,6})", MODES[mode]))


def luminance(colour: str) -> float:
    digits = colour[1:]
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("mode", MODES)
def test_texts_can_be_read(mode: str) -> None:
    found = colours(mode)
    for text in ("ink", "soft", "link", "good", "bad", "odd"):
        for ground in ("bg", "panel"):
            assert contrast(found[text], found[ground]) >= 4.5, (mode, text, ground)


@pytest.mark.parametrize("mode", MODES)
def test_shaded_tokens_can_be_read(mode: str) -> None:
    found = colours(mode)
    for level in range(1, 6):
        for sign in "pn":
            assert contrast(found["ink"], found[f"{sign}{level}"]) >= 4.5, (mode, sign, level)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_shades_grow_with_the_level(mode: str) -> None:
    found = colours(mode)
    for sign in "pn":
        away = [contrast(found["bg"], found[f"{sign}{level}"]) for level in range(1, 6)]
        assert away == sorted(away)
