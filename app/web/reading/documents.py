"""Documents of a corpus from its artifact, a page at a time, and their texts cut up by labels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

from app.core.artifacts import ArtifactStore
from app.registry.documents import Document, Span
from app.registry.stored import read_registered
from app.registry.tables import Corpus


@dataclass(frozen=True)
class Piece:
    """A stretch of text with the same labels from end to end.

    Attributes:
        text: of the document.
        concepts: whose spans it lies in; none outside of all.
        begin: those of them whose span starts here.
    """

    text: str
    concepts: tuple[str, ...]
    begin: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """A document as a page shows it.

    Attributes:
        number: its place in the corpus, from 1.
        whole: concepts that label all of it.
        absent: concepts that it is said not to have.
        left_out: characters beyond what is shown.
    """

    number: int
    document: Document
    pieces: Sequence[Piece]
    whole: Sequence[str]
    absent: Sequence[str]
    left_out: int


def read_documents(
    artifacts: ArtifactStore, corpus: Corpus, start: int, count: int, characters: int
) -> list[Shown]:
    """Documents from `start` (from 0), with at most so many characters of each.

    Raises:
        DocumentsError: the file is gone, is another, or cannot be read.
    """
    return read_registered(artifacts, corpus, lambda path: _read(path, start, count, characters))


def pieces(text: str, labels: Mapping[str, Sequence[Span]], limit: int) -> list[Piece]:
    """The first `limit` characters of a text, cut where a label begins or ends."""
    end = min(len(text), limit)
    cuts = {0, end}
    for spans in labels.values():
        for first, last in spans:
            cuts |= {min(first, end), min(last, end)}
    found = []
    edges = sorted(cuts)
    for left, right in pairwise(edges):
        inside = [
            (name, first)
            for name, spans in labels.items()
            for first, last in spans
            if first <= left < last
        ]
        found.append(
            Piece(
                text[left:right],
                tuple(name for name, _ in inside),
                tuple(name for name, first in inside if first == left),
            )
        )
    return found


def _read(path: Path, start: int, count: int, characters: int) -> list[Shown]:
    with path.open("rb") as file:
        lines = islice(file, start, start + count)
        return [
            _shown(start + place, line, characters) for place, line in enumerate(lines, start=1)
        ]


def _shown(number: int, line: bytes, characters: int) -> Shown:
    # The digest says that it is what was checked when it was registered.
    value = json.loads(line)
    labels = {
        name: tuple((int(first), int(last)) for first, last in spans)
        for name, spans in value.get("labels", {}).items()
    }
    text = value["text"]
    document = Document(
        id=value["id"],
        text=text,
        group=value.get("group"),
        variant_of=value.get("variant_of"),
        perturbation=value.get("perturbation"),
        labels=labels,
    )
    whole = [name for name, spans in labels.items() if spans == ((0, len(text)),)]
    marked = {name: spans for name, spans in labels.items() if name not in whole}
    return Shown(
        number,
        document,
        pieces(text, marked, characters),
        whole,
        [name for name, spans in labels.items() if not spans],
        max(0, len(text) - characters),
    )
