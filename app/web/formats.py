"""Signs, times and durations as pages show them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from app.core.clock import now

_SHAPES = {
    "▲": "drifted fail open firing page",
    "●": "stable pass held succeeded resolved accepted",
    "◐": "inconclusive running acknowledged proposed",
    "○": "insufficient pending not_told queued info",
    "✖": "untrusted failed rejected",
    "■": "invalid",
    "◆": "ticket warning",
    "–": "left_out cancelled superseded",
}
SIGNS: Mapping[str, str] = MappingProxyType(
    {word: shape for shape, words in _SHAPES.items() for word in words.split()}
)
"""Word → shape: what colour says, shape and word say too."""


def sign_of(word: str) -> str:
    """The shape that stands before a word of state."""
    return SIGNS.get(word, "◇")


def moment(value: datetime | None) -> str:
    """A time as a person reads it, in UTC."""
    return "–" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def machine_moment(value: datetime) -> str:
    """A time as `<time datetime>` takes it."""
    return value.astimezone(UTC).isoformat(timespec="seconds")


def duration(seconds: float | None) -> str:
    """`42 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`."""
    if seconds is None:
        return "–"
    whole = max(0, round(seconds))
    for unit, name, smaller, its_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name}" + (f" {rest} {its_name}" if rest else "")
    return f"{whole} s"


def ago(value: datetime | None) -> str:
    """How long ago a time was, coarsely."""
    if value is None:
        return "never"
    seconds = (now() - value).total_seconds()
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        n = int(seconds // unit)
        if n >= 1:
            return f"{n} {name}{'s' if n > 1 else ''} ago"
    return "just now"
