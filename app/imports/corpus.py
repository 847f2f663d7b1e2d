"""A corpus from a file: read row by row, checked, and written in the corpus' own JSON Lines.

Of a row only one document at a time is in memory; what grows with the corpus is its ids alone.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from app.core.digests import canonical_json
from app.imports.errors import refuse
from app.imports.readers import Format, Reader, open_rows
from app.imports.readers.plain_text import Per
from app.imports.rows import Columns, Row, document_of
from app.imports.variants import Known

MAX_CORPUS_BYTES = 256 << 20
"""What the service stores as one corpus."""

Tell = Callable[[int, int], None]
"""Told how much is done, of how much."""


@dataclass
class Converted:
    """A corpus that was read and checked, as JSON Lines in a temporary file.

    Attributes:
        file: its bytes; open as long as the block of `convert_corpus`.
        size: how many.
        digest: SHA-256 of the bytes, the corpus' digest unless variants are added.
        documents, characters: how many of each.
        concepts: concept → {"documents": labelled with it, "without": labelled as without it,
            "spans": in all}.
        ignored: columns that the corpus has no place for.
        left_out: files of a folder that are of other formats than the one that was asked for.
    """

    file: IO[bytes]
    size: int = 0
    digest: str = ""
    documents: int = 0
    characters: int = 0
    concepts: dict[str, dict[str, int]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def lines(self) -> bytes:
        """All of it, for `client.corpora.create(lines=…)`."""
        self.file.seek(0)
        return self.file.read()

    def copy_to(self, path: Path) -> None:
        """Write it to a file that must not be there yet.

        Raises:
            ImportRefusedError: it is there, or cannot be written.
        """
        self.file.seek(0)
        try:
            with path.open("xb") as target:
                while piece := self.file.read(1 << 20):
                    target.write(piece)
        except FileExistsError:
            refuse(path, "is there already; remove it, or give another name")
        except OSError as error:
            refuse(path, f"cannot be written: {error.strerror or error}")

    def facts(self) -> dict[str, Any]:
        """All but the bytes, for a program."""
        return {
            "documents": self.documents,
            "characters": self.characters,
            "bytes": self.size,
            "digest": self.digest,
            "concepts": self.concepts,
            "ignored_columns": self.ignored,
            "left_out_files": self.left_out,
        }


@contextmanager
def convert_corpus(
    path: Path | str,
    *,
    kind: Format | None = None,
    columns: Columns | None = None,
    per: Per = "line",
    split: str | None = None,
    delimiter: str | None = None,
    limit: int | None = None,
    merge_overlaps: bool = False,
    tell: Tell | None = None,
) -> Iterator[Converted]:
    """Read JSON Lines, plain text, CSV, Parquet or a saved dataset as a probe corpus.

    Args:
        path: the file or folder.
        kind: its format; default: what its name's ending says.
        columns: which column holds what; default: by their usual names.
        per: what a document of a plain text is.
        split: of a saved dataset.
        delimiter: of a CSV file.
        limit: at most so many documents, from the first on.
        merge_overlaps: join overlapping spans of a concept instead of refusing them.
        tell: told how far it is.

    Raises:
        ImportRefusedError: naming file and line, what is wrong there, and what to do.
    """
    columns = columns or Columns()
    reader = open_rows(
        Path(path),
        kind=kind,
        per=per,
        split=split,
        delimiter=delimiter,
        columns=columns.wanted(),
    )
    with tempfile.TemporaryFile() as spool, tempfile.TemporaryFile() as target:
        result = Converted(target, left_out=reader.left_out)
        known = Known(reader.place)
        classes = _first_pass(reader, columns, known, spool, result, limit, merge_overlaps, tell)
        if result.documents == 0:
            refuse(path, "holds no document")
        _second_pass(spool, known, classes, result, path)
        yield result


def _first_pass(
    reader: Reader,
    columns: Columns,
    known: Known,
    spool: IO[bytes],
    result: Converted,
    limit: int | None,
    merge_overlaps: bool,
    tell: Tell | None,
) -> dict[str, set[str]]:
    """Write each document with what else must be said of it; the classes of each labelling."""
    classes: dict[str, set[str]] = {}
    written = 0
    seen: dict[str, None] = {}
    for number, values in reader.rows():
        place = reader.place(number)
        row = Row(place, number, values, reader.classes)
        document, listed = document_of(row, columns, merge_overlaps=merge_overlaps)
        seen.update(dict.fromkeys(values))
        known.add(number, document)
        for kind, concepts in listed.items():
            classes.setdefault(kind, set()).update(concepts)
        line = canonical_json({"document": document, "listed": sorted(listed)}) + b"\n"
        spool.write(line)
        written += len(line)
        if written > 2 * MAX_CORPUS_BYTES:
            _too_large(place)
        result.documents += 1
        result.characters += len(document["text"])
        if tell is not None:
            tell(reader.done, reader.total)
        if result.documents == limit:
            break
    for name in columns.named():
        if result.documents and name not in seen:
            refuse(reader.place(1), f"no row has a column {name!r}; there are {', '.join(seen)}")
    known.check_variants()
    if tell is not None:
        tell(reader.total, reader.total)
    result.ignored = [name for name in seen if name not in columns.wanted()]
    return classes


def _second_pass(
    spool: IO[bytes],
    known: Known,
    classes: Mapping[str, set[str]],
    result: Converted,
    path: Path | str,
) -> None:
    """Say of each document which concepts of a complete labelling it does not have."""
    digest = sha256()
    spool.seek(0)
    for line in spool:
        entry = json.loads(line)
        document = entry["document"]
        labels = document.get("labels", {})
        for kind in entry["listed"]:
            for concept in classes[kind]:
                labels.setdefault(concept, [])
        if labels:
            document["labels"] = labels
        if (group := known.group_of(document["id"])) is not None:
            document["group"] = group
        _count(result.concepts, labels)
        data = canonical_json(document) + b"\n"
        digest.update(data)
        result.file.write(data)
        result.size += len(data)
        if result.size > MAX_CORPUS_BYTES:
            _too_large(str(path))
    result.concepts = dict(sorted(result.concepts.items()))
    result.digest = digest.hexdigest()


def _count(concepts: dict[str, dict[str, int]], labels: Mapping[str, list[Any]]) -> None:
    for concept, spans in labels.items():
        counts = concepts.setdefault(concept, {"documents": 0, "without": 0, "spans": 0})
        counts["documents" if spans else "without"] += 1
        counts["spans"] += len(spans)


def _too_large(place: str) -> None:
    refuse(
        place,
        f"the corpus passes {MAX_CORPUS_BYTES >> 20} MiB, the most that is stored as one; take the "
        "first documents with --limit, or split the file",
    )
