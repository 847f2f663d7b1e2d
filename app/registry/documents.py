"""The probe corpus as JSON lines: parsed once into frozen documents, written in one canonical form.

A line is one document:

    {"id": "a.py", "text": "x = 1  # one", "group": "a", "labels": {"comment": [[7, 12]]}}

`id` and `text` are required. Spans are [start, end) in Unicode code points of `text`; `true` labels
the whole document and `false` none of it. `variant_of` names the document that this one paraphrases
or perturbs, and `perturbation` says how.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from app.core.digests import canonical_json
from app.core.errors import InvalidInputError
from app.core.text import text_fault

Span = tuple[int, int]

_KEYS = frozenset({"id", "text", "group", "variant_of", "perturbation", "labels"})
NAME_LIMIT = 500
_CONCEPT_LIMIT = 200


@dataclass(frozen=True)
class Document:
    """One document of a probe corpus.

    Attributes:
        id: unique in the corpus.
        text: never blank.
        group: documents of one group are dependent and are resampled together.
        variant_of: the id of the document that this one paraphrases or perturbs.
        perturbation: how it differs from that one.
        labels: concept → spans [start, end) in code points of `text`, sorted, not overlapping.
            A concept with no span is labelled as absent.
    """

    id: str
    text: str
    group: str | None = None
    variant_of: str | None = None
    perturbation: str | None = None
    labels: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)

    @property
    def cluster(self) -> str:
        """What it depends on by its own account: the group, else itself with its variants."""
        if self.group is not None:
            return f"group:{self.group}"
        return f"document:{self.variant_of or self.id}"

    def to_json(self) -> dict[str, Any]:
        """The document as a JSON object, without what it does not have."""
        value: dict[str, Any] = {"id": self.id, "text": self.text}
        for key in ("group", "variant_of", "perturbation"):
            if getattr(self, key) is not None:
                value[key] = getattr(self, key)
        if self.labels:
            value["labels"] = {name: [list(span) for span in s] for name, s in self.labels.items()}
        return value


def parse_jsonl(data: bytes) -> list[Document]:
    """Documents from JSON lines; blank lines and a byte order mark are passed over.

    Raises:
        InvalidInputError: naming the line (from 1) and what is wrong with it.
    """
    return _parse(
        (f"line {number}", _parse_line(f"line {number}", line))
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
        if line.strip()
    )


def parse_objects(values: Iterable[Any]) -> list[Document]:
    """Documents from JSON objects that are parsed already.

    Raises:
        InvalidInputError: naming the position (from 0) and what is wrong with it.
    """
    return _parse((f"documents[{position}]", value) for position, value in enumerate(values))


def to_jsonl(documents: Iterable[Document]) -> bytes:
    """The canonical form, whose SHA-256 is the corpus digest.

    `parse_jsonl(to_jsonl(documents)) == documents`. The order of documents is kept: it is content.
    """
    return b"".join(canonical_json(document.to_json()) + b"\n" for document in documents)


def _fail(place: str, message: str, value: Any = None) -> NoReturn:
    raise InvalidInputError(f"{place}: {message}", code="invalid_corpus", field=place, value=value)


def _parse_line(place: str, line: bytes) -> Any:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        _fail(place, f"byte {error.start + 1} is not UTF-8; save the file as UTF-8")

    def refuse(constant: str) -> NoReturn:
        _fail(place, f"{constant} is not JSON")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(items)
        if len(value) != len(items):
            keys = [key for key, _ in items]
            twice = next(key for key in keys if keys.count(key) > 1)
            _fail(place, f"the key {twice!r} appears twice", twice)
        return value

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        _fail(place, f"not valid JSON at character {error.pos + 1}: {error.msg}", text)
    except RecursionError:
        _fail(place, "nested too deeply")
    except ValueError as error:  # an integer of more digits than Python reads
        _fail(place, f"not valid JSON: {error}")


def _parse(values: Iterable[tuple[str, Any]]) -> list[Document]:
    documents: dict[str, tuple[str, Document]] = {}
    for place, value in values:
        document = _parse_document(place, value)
        if document.id in documents:
            first = documents[document.id][0]
            _fail(place, f"the id {document.id!r} is taken by {first}; ids must be unique")
        documents[document.id] = (place, document)
    if not documents:
        raise InvalidInputError(
            "the corpus has no documents; send one JSON object per line",
            code="invalid_corpus",
            field="documents",
        )
    return [_with_group(place, document, documents) for place, document in documents.values()]


def _with_group(
    place: str, document: Document, documents: Mapping[str, tuple[str, Document]]
) -> Document:
    """A variant depends on its original, so that both must be in one unit of inference."""
    if document.variant_of is None:
        return document
    found = documents.get(document.variant_of)
    if found is None:
        _fail(
            place,
            f"variant_of names {document.variant_of!r}, which is not in this corpus",
            document.variant_of,
        )
    original = found[1]
    if original.variant_of is not None or original is document:
        _fail(
            place,
            f"variant_of names {original.id!r}, which is itself a variant; name the original",
            original.id,
        )
    if document.group not in (None, original.group):
        _fail(
            place,
            f"group {document.group!r} differs from {original.group!r}, the group of its original "
            f"{original.id!r}; leave it out",
            document.group,
        )
    return replace(document, group=original.group)


def _parse_document(place: str, value: Any) -> Document:
    if not isinstance(value, dict):
        _fail(place, "must be a JSON object with 'id' and 'text'", value)
    if unknown := sorted(set(value) - _KEYS):
        _fail(place, f"unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    text = _text(place, value, "text", limit=None)
    name = _text(place, value, "id", limit=NAME_LIMIT)
    if text is None or name is None:
        _fail(place, f"{'text' if text is None else 'id'!s} is missing; it is required")
    variant_of = _text(place, value, "variant_of", limit=NAME_LIMIT)
    perturbation = _text(place, value, "perturbation", limit=NAME_LIMIT)
    if perturbation is not None and variant_of is None:
        _fail(place, "perturbation is given without variant_of; name the document it perturbs")
    return Document(
        id=name,
        text=text,
        group=_text(place, value, "group", limit=NAME_LIMIT),
        variant_of=variant_of,
        perturbation=perturbation,
        labels=_labels(place, value.get("labels"), len(text)),
    )


def _text(place: str, value: dict[str, Any], key: str, *, limit: int | None) -> str | None:
    text = value.get(key)
    if text is None:
        return None
    if not isinstance(text, str):
        _fail(place, f"{key} must be a string, not {type(text).__name__}", text)
    if not text.strip():
        _fail(place, f"{key} is empty")
    if fault := text_fault(text):
        _fail(place, f"{key} {fault}")
    if limit is not None and len(text) > limit:
        _fail(place, f"{key} has {len(text)} characters; at most {limit} are allowed", text)
    return text


def _labels(place: str, labels: Any, length: int) -> dict[str, tuple[Span, ...]]:
    if labels is None:
        return {}
    if not isinstance(labels, dict):
        _fail(place, "labels must be an object: concept → spans", labels)
    parsed: dict[str, tuple[Span, ...]] = {}
    for concept, spans in sorted(labels.items()):
        label = f"labels[{concept!r}]"
        if not concept.strip() or len(concept) > _CONCEPT_LIMIT:
            _fail(place, f"{label}: a concept's name must have 1 to {_CONCEPT_LIMIT} characters")
        if fault := text_fault(concept):
            _fail(place, f"a concept's name {fault}")
        if isinstance(spans, bool):
            parsed[concept] = ((0, length),) if spans else ()
        elif isinstance(spans, list):
            parsed[concept] = merge_spans([_span(place, label, span, length) for span in spans])
        else:
            _fail(place, f"{label}: must be a list of [start, end] spans, or true", spans)
    return parsed


def _span(place: str, label: str, span: Any, length: int) -> Span:
    if not (
        isinstance(span, list | tuple) and len(span) == 2 and all(type(x) is int for x in span)
    ):
        _fail(place, f"{label}: a span must be [start, end], two integers", span)
    start, end = span
    if not 0 <= start < end <= length:
        _fail(
            place,
            f"{label}: span [{start}, {end}] is outside the text of {length} characters; "
            "0 ≤ start < end ≤ length must hold",
            [start, end],
        )
    return start, end


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sorted, overlaps joined; spans that only touch stay apart."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
