"""What of a report there is room for: a page with slots, filled as far as the limit allows.

The page is rendered once with a slot in place of whatever may be cut short; the contents of slots
are rendered once each, and choosing among them is counting bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from math import inf
from typing import Final

LIMIT: Final = 1_500_000
"""Bytes of an HTML report at most, whatever is in it."""

_EDGE: Final = "\x00"
"""Stands around the name of a slot. No text of a report holds it: hidden characters are named."""


@dataclass(frozen=True)
class Frame:
    """What the page around the slots shows.

    Attributes:
        text: characters of one text at most.
        cards: features with their evidence and their card; the others are lines of tables.
        evidence: whether a feature has all its evidence, or its leading effect alone.
        lines: further features, which are lines of a table in any case.
    """

    text: int = 100_000
    cards: int = 200
    evidence: bool = True
    lines: int = 2_000


@dataclass(frozen=True)
class Room:
    """How much of each feature is shown; the JSON form always has everything.

    Attributes:
        passages: of one feature.
        history: earlier evaluations of one feature.
        wide: whole windows with every token's number, or narrow ones without.
        scatter: features with a picture of their tokens before and after.
    """

    passages: int = 0
    history: int = 0
    wide: bool = False
    scatter: int = 0
    frame: Frame = Frame()


ROOMS: Final = (
    Room(100, 100, wide=True, scatter=6),
    Room(4, 12, wide=True, scatter=6),
    Room(4, 12, scatter=3),
    Room(3, 6, scatter=3),
    Room(2, 3),
    Room(1, 2),
    Room(0, 1),
    Room(0, 1, frame=Frame(text=400, lines=500)),
    Room(0, 1, frame=Frame(text=120, lines=200)),
    Room(frame=Frame(text=120, evidence=False, lines=200)),
    Room(frame=Frame(text=120, cards=50, evidence=False, lines=0)),
    Room(frame=Frame(text=80, cards=0, evidence=False, lines=0)),
)
"""Tried in turn until the page is small enough; the last is, whatever names and texts there are."""


def slot(name: str, index: int) -> str:
    """The mark of a slot within a frame."""
    return f"{_EDGE}{name}:{index}{_EDGE}"


def fit(
    frame: Callable[[Frame], str],
    fill: Callable[[str, int, Room], str],
    rooms: Sequence[Room] = ROOMS,
    limit: int = LIMIT,
) -> bytes:
    """The page in the first room in which it is small enough; in the last, if it is in none.

    Args:
        frame: renders the page around its slots; asked once for each frame that is tried.
        fill: the content of a slot, by its name and index, in a room.
    """
    tried, text, slots = None, [b""], []
    for room in rooms:
        if room.frame != tried:
            tried, pieces = room.frame, frame(room.frame).split(_EDGE)
            text, slots = [piece.encode() for piece in pieces[::2]], pieces[1::2]
        filled = _filled(slots, fill, room, limit - sum(map(len, text)))
        if filled is not None:
            return _joined(text, filled)
    return _joined(text, _filled(slots, fill, rooms[-1], inf) or [])


def _filled(
    slots: Sequence[str], fill: Callable[[str, int, Room], str], room: Room, left: float
) -> list[bytes] | None:
    """The slots' contents, or nothing as soon as they are larger than what is left."""
    contents, size = [], 0
    for name in slots:
        kind, _, index = name.partition(":")
        content = fill(kind, int(index), room).encode()
        size += len(content)
        contents.append(content)
        if size > left:
            return None
    return contents if left >= 0 else None


def _joined(text: Sequence[bytes], contents: Sequence[bytes]) -> bytes:
    return b"".join(chain.from_iterable(zip_longest(text, contents, fillvalue=b"")))
