"""Text in charts: what users named, made safe to draw, and numbers as people read them."""

import unicodedata
from collections.abc import Iterable

from rich.cells import cell_len, split_graphemes

BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They reach beyond the name that holds them: an unclosed one would turn the text after it."""

UNICODE = "latest"
"""Widths by the newest table that is installed, whatever the terminal knows."""

ISOLATE, POP = "\u2068", "\u2069"


def clean(text: str) -> str:
    """Text that XML can hold and that stays within itself.

    Control characters, lone surrogates and noncharacters, which XML 1.0 forbids or nobody sees,
    become U+FFFD; bidirectional controls are left out. Everything else stays, markup too: escaping
    is the renderer's.
    """
    return "".join(map(_clean, text))


def _clean(character: str) -> str:
    if character in BIDI_CONTROLS:
        return ""
    if unicodedata.category(character) in {"Cc", "Cs"} or character in "\u2028\u2029\ufffe\uffff":
        return "\ufffd"
    return character


def shorten(text: str, cells: int) -> str:
    """The text within that many columns of a terminal, cut in the middle, clusters kept whole.

    The ends of a name tell names apart; the middle rarely does. Wide characters take two columns.
    """
    text = clean(text)
    if cell_len(text, UNICODE) <= cells:
        return text
    spans, _ = split_graphemes(text, UNICODE)
    pieces = [(text[start:end], width) for start, end, width in spans]
    room = cells - 1
    head = _fill(pieces, room - room // 2)
    tail = _fill(reversed(pieces[len(head) :]), room // 2)
    return "".join(head) + "…" + "".join(reversed(tail))


def _fill(pieces: Iterable[tuple[str, int]], room: int) -> list[str]:
    taken: list[str] = []
    for piece, width in pieces:
        if width > room:
            break
        taken.append(piece)
        room -= width
    return taken


def quoted(name: str) -> str:
    """A name within a sentence: cleaned, shortened, in quotes.

    One with letters that run from right to left is isolated, lest it reorder the text around it.
    """
    text = shorten(name, 60)
    if any(unicodedata.bidirectional(character) in {"R", "AL", "AN"} for character in text):
        text = f"{ISOLATE}{text}{POP}"
    return f"“{text}”"


def number(value: float | None, digits: int = 3) -> str:
    """A number in three significant digits, `−` for minus, `–` where there is none."""
    if value is None:
        return "–"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e3 <= abs(value) < 1e7:
        text = f"{value:.0f}"
    elif "e" in text:
        mantissa, _, power = text.partition("e")
        text = f"{mantissa}e{int(power)}"
    if text in {"inf", "-inf"}:
        text = text.replace("inf", "∞")
    return text.replace("-", "−")


def decimal(value: float | None) -> str:
    """A number of a column of effects: two decimals; two digits below 0.1, three beyond 100.

    What is too small for four decimals is `≈0`, which 0 itself is not.
    """
    if value is None or abs(value) >= 99.995:
        return number(value)
    if abs(value) >= 0.095:
        return f"{value:.2f}".replace("-", "−")
    if 0 < abs(value) < 0.00005:
        return "≈0"
    return number(round(value, 4), 2)


def interval(lower: float | None, upper: float | None) -> str:
    """`[0.35, 0.47]`, or nothing where an end is missing."""
    if lower is None or upper is None:
        return ""
    return f"[{decimal(lower)}, {decimal(upper)}]"


def count(n: int, noun: str, plural: str | None = None) -> str:
    """`1 feature`, `12 features`, `10,000 tokens`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listing(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    parts = list(parts)
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
