"""Labels of documents as people have them, brought into the corpus' own form.

Three forms of label spans are understood, all in characters (Unicode code points) of the text:

- concept → spans: `{"phone": [[11, 19]], "address": false}`, the corpus' own form;
- a list of spans: `[{"start": 11, "end": 19, "label": "phone"}]`, or `[[11, 19, "phone"]]`;
- the same as columns: `{"start": [11], "end": [19], "label": ["phone"]}`.

In the first, a concept that a document does not name is not labelled there. The lists say all that
there is in a document, so that a concept they do not name is absent from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.imports.errors import refuse
from app.imports.readers.jsonl import parse_json

Spans = list[tuple[int, int]]

_STARTS = ("start", "start_offset", "begin")
_ENDS = ("end", "end_offset", "stop")
_NAMES = ("label", "concept", "type", "entity", "entity_type", "entity_group", "tag", "name")
_TRUE = frozenset({"true", "1", "yes", "y", "t"})
_FALSE = frozenset({"false", "0", "no", "n", "f"})


@dataclass
class Labels:
    """What is labelled in one document.

    Attributes:
        concepts: concept → spans, or whether the whole document has it.
        listed: sorts of labelling that name every concept that the document has, and hence say
            of all others of that sort that they are absent.
    """

    concepts: dict[str, Spans | bool] = field(default_factory=dict)
    listed: dict[str, set[str]] = field(default_factory=dict)

    def add(self, place: str, concept: str, value: Spans | bool) -> None:
        """One more concept.

        Raises:
            ImportRefusedError: it is labelled already, by another column.
        """
        if concept in self.concepts:
            refuse(place, f"the concept {concept!r} is labelled by two columns; keep one", concept)
        self.concepts[concept] = value


def read_spans(place: str, value: Any, labels: Labels) -> None:
    """Label spans in one of the forms above; text is taken as JSON.

    Raises:
        ImportRefusedError: naming the place and what is wrong with which span.
    """
    if isinstance(value, str):
        value = parse_json(f"{place}: labels", value) if value.strip() else None
    if value is None:
        return
    if isinstance(value, list) and value and all(_is_map_entry(item) for item in value):
        value = dict(value)
    if isinstance(value, dict) and (keys := _columns(value)):
        start, end, name = (value[key] for key in keys)
        if not len(start) == len(end) == len(name):
            refuse(place, f"labels has {len(start)} starts, {len(end)} ends, {len(name)} names")
        value = [list(one) for one in zip(start, end, name, strict=True)]
    if isinstance(value, dict):
        for concept, spans in value.items():
            if spans is not None:
                labels.add(place, concept, _of_concept(place, concept, spans))
    elif isinstance(value, list):
        _read_list(place, value, labels)
    else:
        refuse(
            place,
            f"labels is {type(value).__name__}; give {{concept: [[start, end], …]}}, or a list "
            'such as [{"start": 0, "end": 4, "label": "phone"}]',
            value,
        )


def read_flag(place: str, column: str, concept: str, value: Any, labels: Labels) -> None:
    """A column that says of the whole document whether it has a concept.

    Raises:
        ImportRefusedError: it says neither yes nor no.
    """
    if value is None:
        return
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word not in _TRUE | _FALSE:
        refuse(
            place,
            f"column {column!r} is {value!r}, neither true nor false; where it names the "
            "document's class, use --class in place of --flag",
            value,
        )
    labels.add(place, concept, word in _TRUE)


def read_class(
    place: str, column: str, value: Any, labels: Labels, names: list[str] | None = None
) -> None:
    """A column that names the class or classes of the whole document; the others are absent.

    Args:
        names: what numbers stand for.

    Raises:
        ImportRefusedError: it is no name, or a number with no name.
    """
    if value is None:
        return
    found = set()
    for item in value if isinstance(value, list) else [value]:
        if names is not None and type(item) is int:
            if not 0 <= item < len(names):
                # datasets writes -1 where a document has no class.
                if item == -1 and not isinstance(value, list):
                    return
                refuse(place, f"column {column!r} is {item}, but has {len(names)} classes", item)
            item = names[item]
        if not isinstance(item, str) or not item.strip():
            refuse(
                place,
                f"column {column!r} is {item!r}; a class must be a name, such as 'spam'",
                item,
            )
        found.add(item)
    for concept in sorted(found):
        labels.add(place, concept, True)
    labels.listed.setdefault(f"class:{column}", set()).update(found)


def check_spans(
    place: str, text: str, concepts: Mapping[str, Spans | bool], *, merge: bool
) -> dict[str, Spans | bool]:
    """Spans sorted, inside the text, and apart from each other.

    Args:
        merge: join spans of a concept that overlap, instead of refusing them.

    Raises:
        ImportRefusedError: naming concept and span.
    """
    checked: dict[str, Spans | bool] = {}
    for concept, spans in concepts.items():
        if isinstance(spans, bool):
            checked[concept] = spans
            continue
        joined: Spans = []
        for start, end in sorted(spans):
            if not 0 <= start < end <= len(text):
                refuse(
                    place,
                    f"label {concept!r}: span [{start}, {end}] "
                    + (
                        "is empty or turned round"
                        if start >= end
                        else f"is outside the text of {len(text)} characters"
                    )
                    + "; spans are [start, end) in characters, not in bytes or tokens",
                    [start, end],
                )
            if joined and start < joined[-1][1]:
                if not merge:
                    refuse(
                        place,
                        f"label {concept!r}: spans {list(joined[-1])} and [{start}, {end}] "
                        "overlap; mend them, or join them with --merge-overlaps",
                        [start, end],
                    )
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        checked[concept] = joined
    return checked


def _of_concept(place: str, concept: Any, spans: Any) -> Spans | bool:
    if not isinstance(concept, str):
        refuse(place, f"labels: a concept is {concept!r}; it must be text", concept)
    if isinstance(spans, bool):
        return spans
    if not isinstance(spans, list):
        refuse(
            place,
            f"label {concept!r} is {spans!r}; give [[start, end], …], true for the whole document, "
            "or false for none of it",
            spans,
        )
    return [_span(place, concept, span) for span in spans]


def _read_list(place: str, spans: Iterable[Any], labels: Labels) -> None:
    found: dict[str, Spans] = {}
    for span in spans:
        name: Any = None
        if isinstance(span, dict):
            name = next((span[key] for key in _NAMES if span.get(key) is not None), None)
        elif isinstance(span, list | tuple) and len(span) == 3:
            name = span[2]
        if not isinstance(name, str) or not name.strip():
            refuse(
                place,
                f"labels: span {span!r} names no concept; give "
                '{"start": 0, "end": 4, "label": "phone"} or [0, 4, "phone"]',
                span,
            )
        found.setdefault(name, []).append(_span(place, name, span))
    for concept, listed in found.items():
        labels.add(place, concept, listed)
    labels.listed.setdefault("spans", set()).update(found)


def _span(place: str, concept: str, span: Any) -> tuple[int, int]:
    start = end = None
    if isinstance(span, dict):
        start = next((span[key] for key in _STARTS if key in span), None)
        end = next((span[key] for key in _ENDS if key in span), None)
    elif isinstance(span, list | tuple) and len(span) in (2, 3):
        start, end = span[:2]
    if type(start) is not int or type(end) is not int:
        refuse(
            place,
            f"label {concept!r}: span {span!r} must have two whole numbers, [start, end)",
            span,
        )
    return start, end


def _is_map_entry(item: Any) -> bool:
    """Arrow gives maps as lists of pairs."""
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)


def _columns(value: Mapping[str, Any]) -> tuple[str, str, str] | None:
    keys = [next((key for key in some if key in value), None) for some in (_STARTS, _ENDS, _NAMES)]
    start, end, name = keys
    if start is None or end is None or name is None or len(value) < 3:
        return None
    if not all(isinstance(value[key], list) for key in (start, end, name)):
        return None
    return (start, end, name) if all(isinstance(x, str) for x in value[name]) else None
