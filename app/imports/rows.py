"""One row as one document of a probe corpus."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.errors import InvalidInputError
from app.imports.errors import refuse
from app.imports.labels import Labels, check_spans, read_class, read_flag, read_spans
from app.registry.documents import parse_objects

_PLAIN = ("group", "variant_of", "perturbation")


@dataclass(frozen=True)
class Columns:
    """Which column holds what; None: the usual name, where there is such a column.

    Attributes:
        text: the document.
        id: its name; without one, documents are named by their line or row.
        group: documents of one group depend on each other.
        labels: label spans.
        flags: column → concept that the whole document has or has not.
        classes: columns that name the class or classes of the whole document.
    """

    text: str | None = None
    id: str | None = None
    group: str | None = None
    labels: str | None = None
    flags: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    def wanted(self) -> list[str]:
        """All columns that may be read; the text's first."""
        return [
            *(self.text or "text", self.id or "id", self.group or "group"),
            *(self.labels or "labels", "variant_of", "perturbation"),
            *self.flags,
            *self.classes,
        ]

    def named(self) -> list[str]:
        """Columns that somebody has named, and that hence must be somewhere."""
        given = [self.group, self.labels, *self.flags, *self.classes]
        return [name for name in given if name is not None]


@dataclass(frozen=True)
class Row:
    """A row and where it stands."""

    place: str
    number: int
    values: Mapping[str, Any]
    classes: Mapping[str, list[str]]


def document_of(
    row: Row, columns: Columns, *, merge_overlaps: bool
) -> tuple[dict[str, Any], dict[str, set[str]]]:
    """The document as JSON, and the concepts of each complete labelling.

    Args:
        merge_overlaps: join overlapping spans of a concept instead of refusing them.

    Raises:
        ImportRefusedError: naming the row.
    """
    place = row.place
    text = _column(row, "text", columns.text)
    if text is None:
        refuse(place, f"column {columns.text or 'text'!r} is empty; a document needs a text")
    if not isinstance(text, str):
        refuse(place, f"the text is {type(text).__name__}, not text", text)
    if not text.strip():
        refuse(place, "the text is blank; leave the row out")
    document: dict[str, Any] = {"id": _id(row, columns), "text": text}
    for key in _PLAIN:
        value = _column(row, key, columns.group if key == "group" else None)
        if value is not None:
            document[key] = str(value) if type(value) is int else value
    labels = Labels()
    read_spans(place, _column(row, "labels", columns.labels), labels)
    for column, concept in columns.flags.items():
        read_flag(place, column, concept, _column(row, column, column), labels)
    for column in columns.classes:
        value = _column(row, column, column)
        read_class(place, column, value, labels, row.classes.get(column))
    checked = check_spans(place, text, labels.concepts, merge=merge_overlaps)
    if checked:
        document["labels"] = checked
    return _whole(place, document), labels.listed


def _whole(place: str, document: dict[str, Any]) -> dict[str, Any]:
    """What the registry would say of it, with this place; variants are looked at later."""
    variant: dict[str, Any] = {
        k: document.pop(k) for k in ("variant_of", "perturbation") if k in document
    }
    for key, value in variant.items():
        if not isinstance(value, str) or not value.strip():
            refuse(place, f"{key} is {value!r}; it must be text", value)
    if "perturbation" in variant and "variant_of" not in variant:
        refuse(place, "perturbation is given without variant_of; name the document it perturbs")
    try:
        (parsed,) = parse_objects([document])
    except InvalidInputError as error:
        refuse(place, error.detail.removeprefix("documents[0]: "), error.value)
    return {**parsed.to_json(), **variant}


def _id(row: Row, columns: Columns) -> str:
    value = _column(row, "id", columns.id)
    if value is None:
        return f"{row.number}"
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        refuse(row.place, f"the id is {type(value).__name__} {value!r}; it must be text", value)
    return value


def _column(row: Row, usual: str, named: str | None) -> Any:
    """A value; every row must have the text, and an id where its column was named."""
    name = named or usual
    if name not in row.values and (usual == "text" or (usual == "id" and named)):
        have = ", ".join(map(repr, row.values)) or "none"
        hint = _separator(row) or f"name it with --{usual}"
        refuse(row.place, f"there is no column {name!r} (it has {have}); {hint}")
    return row.values.get(name)


def _separator(row: Row) -> str:
    """Where the one column looks like several: what perhaps separates them, and how to say it."""
    alone = next(iter(row.values)) if len(row.values) == 1 else ""
    if "\t" in alone:
        return "where tabs separate the fields, say --format tsv"
    mark = next((mark for mark in ";|" if mark in alone), None)
    return f"where {mark!r} separates the fields, say --delimiter {mark!r}" if mark else ""
