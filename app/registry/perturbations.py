"""Built-in perturbations: a text and its labels, changed in a way that should not matter much.

Each is a pure function of the text, the seed and the document's id: the same on every machine.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random
from typing import Literal, TypeVar, get_args

from app.core.errors import InvalidInputError
from app.registry.documents import NAME_LIMIT, Document, Span, merge_spans
from app.registry.edits import Edit, SpanMap
from app.registry.python_text import local_names, places, python_tokens, string_spans, words

Item = TypeVar("Item")
Perturbation = Literal["case", "whitespace", "typos", "identifiers", "prefix", "suffix"]
PERTURBATIONS: tuple[Perturbation, ...] = get_args(Perturbation)

PREFIX = "The following text is given as it was found.\n\n"
SUFFIX = "\n\nThat is the end of the text.\n"
TYPO_RATE = 0.05
"""Of the words with four letters or more; a text that has one gets at least one typo."""
GAP_RATE = 0.1
"""Of the places where blanks may be added without changing what the text says."""
MAX_CHARACTERS = 32 << 20
"""Of texts times perturbations in one request: seconds of work, under a minute at the worst."""

_WORD = re.compile(r"[^\W\d_]{4,}")
# None of these touches indentation, or what follows a backslash that continues a line.
_BLANKS = re.compile(r"(?<=[^\s])[ \t]+(?=[^\s])")
_LINE_END = re.compile(r"(?<=[^\s\\])[ \t]*(?=\r?\n|\Z)")
_BLANK_LINES = re.compile(r"(?<=[^\\]\n)(?:[ \t]*\n)+")
_CASES: tuple[Callable[[str], str], ...] = (str.upper, str.lower, str.swapcase)
_NEUTRAL = (
    *("value", "item", "entry", "result", "data", "part", "first", "second", "other", "current"),
    *(
        "number",
        "amount",
        "target",
        "holder",
        "record",
        "element",
        "thing",
        "piece",
        "unit",
        "word",
    ),
)


@dataclass(frozen=True)
class Perturbed:
    """A changed text.

    Attributes:
        text: the new one.
        spans: from spans of the old text to spans of the new one.
    """

    text: str
    spans: SpanMap


def perturb(text: str, perturbation: Perturbation, *, seed: int, document: str) -> Perturbed | None:
    """A text perturbed; None where the perturbation does not apply to it or changes nothing.

    Args:
        perturbation: `case`: all letters upper, lower or swapped, whichever of the three the seed
            chooses among those that change something. `whitespace`: runs of blanks between words,
            trailing blanks and blank lines; indentation, line structure and Python's strings stay.
            `typos`: inner letters of words swapped or dropped. `identifiers`: local names of valid
            Python renamed, the same one everywhere; no other text has any. `prefix`, `suffix`: a
            neutral sentence around the text.
        seed, document: choose among the possible changes.
    """
    digest = sha256(f"{perturbation}\n{seed}\n{document}".encode()).digest()
    chance = Random(int.from_bytes(digest[:8], "big"))  # noqa: S311 - repeatable, not secret
    changed = _FUNCTIONS[perturbation](text, chance)
    return changed if changed is not None and changed.text != text else None


def with_variants(
    documents: Sequence[Document], perturbations: Sequence[Perturbation], *, seed: int = 0
) -> list[Document]:
    """A corpus with a variant of each original document for each perturbation.

    Variants follow after all documents, in the order of `PERTURBATIONS`, whatever the order asked
    for. Documents that are variants themselves get none.

    Raises:
        InvalidInputError: a perturbation changes no document, an id is taken or too long, or there
            is too much text.
    """
    originals = [document for document in documents if document.variant_of is None]
    characters = sum(len(document.text) for document in originals) * len(set(perturbations))
    if characters > MAX_CHARACTERS:
        raise InvalidInputError(
            f"{len(set(perturbations))} perturbations of {len(originals)} documents are "
            f"{characters} characters; at most {MAX_CHARACTERS} are perturbed at once, so ask for "
            "fewer perturbations, split the corpus, or send the variants as documents",
            code="too_much_to_perturb",
            field="perturbations",
            value=characters,
        )
    taken = {document.id for document in documents}
    made = list(documents)
    for perturbation in PERTURBATIONS:
        if perturbation not in perturbations:
            continue
        variants = [
            variant
            for document in originals
            if (variant := _variant(document, perturbation, seed, taken)) is not None
        ]
        if not variants:
            raise InvalidInputError(
                f"the perturbation {perturbation!r} changes nothing in any document"
                + _HINTS.get(perturbation, "")
                + "; leave it out",
                code="perturbation_without_effect",
                field="perturbations",
                value=perturbation,
            )
        made += variants
    return made


def _variant(
    document: Document, perturbation: Perturbation, seed: int, taken: set[str]
) -> Document | None:
    changed = perturb(document.text, perturbation, seed=seed, document=document.id)
    if changed is None:
        return None
    name = f"{document.id}~{perturbation}"
    if name in taken or len(name) > NAME_LIMIT:
        why = "is taken" if name in taken else f"has more than {NAME_LIMIT} characters"
        raise InvalidInputError(
            f"the variant of the document {document.id!r} would be called {name!r}, which {why}; "
            "rename the document",
            code="invalid_corpus",
            field="perturbations",
            value=name,
        )
    return replace(
        document,
        id=name,
        text=changed.text,
        variant_of=document.id,
        perturbation=perturbation,
        labels=moved_labels(document.labels, changed.spans),
    )


def moved_labels(
    labels: Mapping[str, Sequence[Span]], spans: SpanMap
) -> dict[str, tuple[Span, ...]]:
    """Labels where they are in the changed text; a span of which nothing is left is gone."""
    moved: dict[str, tuple[Span, ...]] = {}
    for concept, old in labels.items():
        new = (spans.span(start, end) for start, end in old)
        moved[concept] = merge_spans([span for span in new if span is not None])
    return moved


def _case(text: str, chance: Random) -> Perturbed | None:
    first = _below(chance, len(_CASES))
    for turn in range(len(_CASES)):
        way = _CASES[(first + turn) % len(_CASES)]
        if text.isascii():
            changed = Perturbed(way(text), SpanMap(()))
        else:
            # Letter by letter, so that each keeps its place: ß becomes two, Σ looks at the next.
            letters = [way(letter) for letter in text]
            edits = (Edit(i, i + 1, new) for i, new in enumerate(letters) if len(new) != 1)
            changed = Perturbed("".join(letters), SpanMap(edits))
        if changed.text != text:
            return changed
    return None


def _typos(text: str, chance: Random) -> Perturbed | None:
    words_of = _chosen(list(_WORD.finditer(text)), TYPO_RATE, chance)
    return _edited(text, [_typo(word, chance) for word in words_of])


def _typo(word: re.Match[str], chance: Random) -> Edit:
    """Two inner letters swapped, or one dropped where they are the same."""
    letters = word.group()
    place = 1 + _below(chance, len(letters) - 3)
    a, b = letters[place], letters[place + 1]
    start = word.start() + place
    if a == b or chance.random() < 0.5:
        return Edit(start, start + 1, "")
    return Edit(start, start + 2, b + a)


def _whitespace(text: str, chance: Random) -> Perturbed | None:
    tokens = python_tokens(text)
    gaps = sorted(_gaps(text))
    if tokens is not None:
        strings = list(string_spans(text, tokens))
        starts = [start for start, _ in strings]
        gaps = [gap for gap in gaps if not _inside(gap, strings, starts)]
    return _edited(text, _chosen(gaps, GAP_RATE, chance))


def _inside(gap: Edit, strings: Sequence[Span], starts: Sequence[int]) -> bool:
    last = bisect_right(starts, gap.start) - 1
    return last >= 0 and gap.start < strings[last][1]


def _gaps(text: str) -> Iterator[Edit]:
    """A single blank becomes two, a run one; likewise blank lines; a line's end loses its blanks
    or gets one."""
    for match in _BLANKS.finditer(text):
        yield Edit(match.start(), match.end(), "  " if match.group() == " " else " ")
    for match in _BLANK_LINES.finditer(text):
        yield Edit(match.start(), match.end(), "\n\n" if match.group() == "\n" else "\n")
    for match in _LINE_END.finditer(text):
        yield Edit(match.start(), match.end(), "" if match.group() else " ")


def _identifiers(text: str, chance: Random) -> Perturbed | None:
    tokens = python_tokens(text)
    names = local_names(text, tokens) if tokens is not None else set()
    if tokens is None or not names:
        return None
    taken = words(tokens)
    new = {name: _neutral_name(chance, taken) for name in sorted(names)}
    changed = _edited(
        text, [Edit(start, end, new[name]) for start, end, name in places(text, tokens, names)]
    )
    return changed if python_tokens(changed.text) is not None else None


def _neutral_name(chance: Random, taken: set[str]) -> str:
    stem = name = _NEUTRAL[_below(chance, len(_NEUTRAL))]
    number = 1
    while name in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name)
    return name


def _prefix(text: str, _: Random) -> Perturbed | None:
    return _edited(text, [Edit(0, 0, PREFIX)])


def _suffix(text: str, _: Random) -> Perturbed | None:
    return _edited(text, [Edit(len(text), len(text), SUFFIX)])


def _edited(text: str, edits: Sequence[Edit]) -> Perturbed:
    spans = SpanMap(edits)
    return Perturbed(spans.apply(text), spans)


def _chosen(candidates: Sequence[Item], rate: float, chance: Random) -> list[Item]:
    """Some of the candidates, each with the same chance; one at least, where there is one."""
    chosen = [candidate for candidate in candidates if chance.random() < rate]
    if candidates and not chosen:
        chosen = [candidates[_below(chance, len(candidates))]]
    return chosen


def _below(chance: Random, count: int) -> int:
    """A whole number from 0 to count − 1; of all of `Random`, only `random()` never changes."""
    return int(chance.random() * count)


_FUNCTIONS: Mapping[Perturbation, Callable[[str, Random], Perturbed | None]] = {
    "case": _case,
    "whitespace": _whitespace,
    "typos": _typos,
    "identifiers": _identifiers,
    "prefix": _prefix,
    "suffix": _suffix,
}
_HINTS: Mapping[str, str] = {
    "identifiers": " (only valid Python with names local to a function has any to rename)",
    "typos": " (only words of four letters or more get any)",
}
