"""Edits of a text, and where its labelled spans are afterwards."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, order=True)
class Edit:
    """Replace `text[start:end]`; an insertion where start equals end, a deletion without text."""

    start: int
    end: int
    text: str


class SpanMap:
    """Where spans of a text are in the edited text: labels follow their characters.

    A character outside all edits keeps its label. The characters of one edit are one: a label that
    touches any of them covers all that replaces them, for which new character stands for which old
    one cannot be told. What is inserted is labelled only strictly inside a span.

    Args:
        edits: disjoint; two may touch, and an insertion may stand before an edit that starts there.

    Raises:
        ValueError: edits overlap.
    """

    def __init__(self, edits: Iterable[Edit]) -> None:
        self._edits = sorted(edits)
        self._starts = [edit.start for edit in self._edits]
        self._ends = [edit.end for edit in self._edits]
        for before, after in zip(self._edits, self._edits[1:], strict=False):
            if before.end > after.start:
                raise ValueError(f"{before} and {after} overlap")
        # The shift of a character behind the first k edits.
        growth = (len(edit.text) - (edit.end - edit.start) for edit in self._edits)
        self._shift = list(accumulate(growth, initial=0))

    def apply(self, text: str) -> str:
        """The edited text."""
        pieces, position = [], 0
        for edit in self._edits:
            pieces += [text[position : edit.start], edit.text]
            position = edit.end
        return "".join([*pieces, text[position:]])

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """A span of the text as a span of the edited text; None when nothing of it is left.

        Args:
            start, end: code points, half open, not empty.
        """
        first, _ = self._image(start)
        _, last = self._image(end - 1)
        return (first, last) if first < last else None

    def _image(self, character: int) -> tuple[int, int]:
        """The half-open range of what stands for one character; empty where it was deleted."""
        # Disjoint edits are sorted by their ends as well.
        behind = bisect_right(self._ends, character)
        moved = self._shift[behind]
        if behind < len(self._edits) and self._starts[behind] <= character:
            edit = self._edits[behind]
            return edit.start + moved, edit.start + moved + len(edit.text)
        return character + moved, character + moved + 1
