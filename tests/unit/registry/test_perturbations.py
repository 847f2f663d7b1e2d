"""Built-in perturbations: what they change, what they leave, and where labels go."""

import ast
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidInputError
from app.registry.documents import Document, parse_jsonl, parse_objects, to_jsonl
from app.registry.edits import Edit, SpanMap
from app.registry.perturbations import (
    PERTURBATIONS,
    PREFIX,
    SUFFIX,
    Perturbation,
    Perturbed,
    perturb,
    with_variants,
)

PROSE = (
    "Call me at the office.  The number is 555-0100,\n\n"
    "\twritten here as it stands on the card. \n\n\n  Nobody answers before nine."
)
CODE = '''import os
LIMIT = 3


def total(rows, *, limit=LIMIT):
    """Sum the rows up to the limit."""
    found = 0  # running sum
    for row in rows:

        found += row.value if row else limit
    text = f"{found} of {limit}" + \\
        os.sep
    return [entry for entry in (found, text)]
'''


def run(text: str, perturbation: Perturbation, seed: int = 0) -> Perturbed:
    changed = perturb(text, perturbation, seed=seed, document="d")
    assert changed is not None
    return changed


def document(name: str = "d", text: str = PROSE, **rest: Any) -> Document:
    return Document(name, text, **rest)


def moved(changed: Perturbed, text: str, part: str) -> str:
    """What stands in the changed text for a part of the old one."""
    start = text.index(part)
    span = changed.spans.span(start, start + len(part))
    assert span is not None
    return changed.text[slice(*span)]


# The map of spans


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, list[Edit]]:
    text = draw(st.text("abcdefgh \n", min_size=1, max_size=30))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    ranges = list(zip(cuts[::2], cuts[1::2], strict=False))
    return text, [Edit(a, b, draw(st.text("XYZ", max_size=3))) for a, b in ranges]


@given(edited(), st.data())
def test_a_span_covers_what_stands_for_its_characters(
    given_edits: tuple[str, list[Edit]], data: st.DataObject
) -> None:
    text, edits = given_edits
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    spans = SpanMap(edits)
    # A slow model: what stands for each character, and what is inserted before it.
    new, image = "", {}
    for place in range(len(text) + 1):
        for edit in sorted(edits):
            if edit.start == edit.end == place:
                new += edit.text
        touched = [edit for edit in edits if edit.start <= place < edit.end]
        if touched and touched[0].start == place:
            image[place] = (len(new), len(new) + len(touched[0].text))
            new += touched[0].text
        elif touched:
            image[place] = image[place - 1]
        elif place < len(text):
            image[place] = (len(new), len(new) + 1)
            new += text[place]
    assert spans.apply(text) == new
    first, last = image[start][0], image[end - 1][1]
    assert spans.span(start, end) == ((first, last) if first < last else None)


def test_what_is_inserted_at_an_edge_is_not_labelled_and_inside_it_is() -> None:
    spans = SpanMap([Edit(2, 2, "__"), Edit(5, 5, "++"), Edit(7, 7, "__")])
    text = "ab" + "cdefg" + "hi"
    assert spans.apply(text) == "ab__cde++fg__hi"
    assert spans.span(2, 7) == (4, 11)
    assert spans.span(0, 2) == (0, 2)
    assert spans.span(7, 9) == (13, 15)


def test_a_span_of_which_nothing_is_left_is_gone() -> None:
    spans = SpanMap([Edit(1, 3, "")])
    assert spans.span(1, 3) is None
    assert spans.span(0, 3) == (0, 1)
    assert spans.span(2, 4) == (1, 2)


def test_overlapping_edits_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        SpanMap([Edit(0, 2, "x"), Edit(1, 3, "y")])


# Each perturbation: labelled substrings map onto the perturbed substrings

texts = st.text(
    st.sampled_from("abcdefgABCDEFGßĳΣıİéÀ012 \t\n.,_-()\"'#=") | st.characters(codec="utf-8"),
    min_size=1,
    max_size=120,
)


@st.composite
def spanned(draw: st.DrawFn) -> tuple[str, int, int]:
    text = draw(texts)
    start = draw(st.integers(0, len(text) - 1))
    return text, start, draw(st.integers(start + 1, len(text)))


@given(spanned(), st.sampled_from(PERTURBATIONS), st.integers(0, 5))
def test_spans_stay_in_the_text_and_in_order(
    given_span: tuple[str, int, int], perturbation: Perturbation, seed: int
) -> None:
    text, start, end = given_span
    changed = perturb(text, perturbation, seed=seed, document="d")
    again = perturb(text, perturbation, seed=seed, document="d")
    if changed is None:
        assert again is None
        return
    assert again is not None
    assert again.text == changed.text
    assert changed.text != text
    whole = changed.spans.span(0, len(text))
    assert whole is not None
    span = changed.spans.span(start, end)
    if span is not None:
        assert 0 <= whole[0] <= span[0] < span[1] <= whole[1] <= len(changed.text)
    rest = changed.spans.span(end, len(text)) if end < len(text) else None
    if span is not None and rest is not None and perturbation not in ("typos", "identifiers"):
        assert span[1] <= rest[0]


@given(spanned(), st.integers(0, 5))
def test_case_changes_letters_in_place(given_span: tuple[str, int, int], seed: int) -> None:
    text, start, end = given_span
    changed = perturb(text, "case", seed=seed, document="d")
    if changed is None:
        assert text == text.upper() == text.lower()
        return
    span = changed.spans.span(start, end)
    assert span is not None
    labelled = text[start:end]
    ways = (str.upper, str.lower, str.swapcase)
    assert changed.text[slice(*span)] in {"".join(map(way, labelled)) for way in ways}


@given(spanned(), st.integers(0, 5))
def test_whitespace_keeps_all_else(given_span: tuple[str, int, int], seed: int) -> None:
    text, start, end = given_span
    changed = perturb(text, "whitespace", seed=seed, document="d")
    if changed is None:
        return
    assert changed.text.split() == text.split()
    assert [line.split() for line in changed.text.split("\n") if line.strip()] == [
        line.split() for line in text.split("\n") if line.strip()
    ]
    span = changed.spans.span(start, end)
    if span is None:
        assert not text[start:end].strip()
    else:
        assert changed.text[slice(*span)].split() == text[start:end].split()


@given(spanned(), st.integers(0, 5))
def test_typos_swap_or_drop_inner_letters_of_words(
    given_span: tuple[str, int, int], seed: int
) -> None:
    text, start, end = given_span
    changed = perturb(text, "typos", seed=seed, document="d")
    if changed is None:
        return
    assert len(changed.text) <= len(text)
    span = changed.spans.span(start, end)
    if span is None:
        assert end - start == 1
        assert text[start].isalpha()
        return
    labelled, new = text[start:end], changed.text[slice(*span)]
    # A swap across the edge of a label labels both of its letters.
    assert set(new) - set(labelled) <= set(text[max(0, start - 1) : start] + text[end : end + 1])
    untouched = [c for c in labelled if not c.isalpha()]
    assert [c for c in new if not c.isalpha()] == untouched


@given(spanned())
def test_prefix_and_suffix_leave_the_text_whole(given_span: tuple[str, int, int]) -> None:
    text, start, end = given_span
    before = run(text, "prefix")
    assert before.text == PREFIX + text
    assert before.spans.span(start, end) == (start + len(PREFIX), end + len(PREFIX))
    after = run(text, "suffix")
    assert after.text == text + SUFFIX
    assert after.spans.span(start, end) == (start, end)


# Prose and code


@pytest.mark.parametrize("seed", range(8))
def test_whitespace_of_prose_keeps_indentation_and_paragraphs(seed: int) -> None:
    changed = run(PROSE, "whitespace", seed).text
    indents = [line[: len(line) - len(line.lstrip())] for line in PROSE.split("\n") if line.strip()]
    lines = [line for line in changed.split("\n") if line.strip()]
    assert [line[: len(line) - len(line.lstrip())] for line in lines] == indents
    assert sum(not part.strip() for part in changed.split("\n\n")) <= 1
    assert "\n\n\twritten" in changed


@pytest.mark.parametrize("seed", range(8))
def test_whitespace_of_python_changes_no_meaning(seed: int) -> None:
    changed = run(CODE, "whitespace", seed)
    assert ast.dump(ast.parse(changed.text)) == ast.dump(ast.parse(CODE))
    assert moved(changed, CODE, "# running sum").split() == ["#", "running", "sum"]
    assert moved(changed, CODE, '"""Sum the rows up to the limit."""') == (
        '"""Sum the rows up to the limit."""'
    )


@pytest.mark.parametrize("seed", range(8))
def test_identifiers_renames_local_names_alone(seed: int) -> None:
    changed = run(CODE, "identifiers", seed)
    new = moved(changed, CODE, "rows")
    assert new != "rows"
    assert f"for {moved(changed, CODE, 'row in')} {new}:" in changed.text
    # Imported, module-level and attribute names, what f-strings show, strings, comments.
    for kept in ("import os", "LIMIT", ".value if", "os.sep", 'f"{found} of {limit}"'):
        assert kept in changed.text
    assert '"""Sum the rows up to the limit."""' in changed.text
    spaces: list[dict[str, Any]] = [{}, {}]
    for text, space in zip((CODE, changed.text), spaces, strict=True):
        exec(text, space)  # noqa: S102 - the text above

    class Row:
        value = 4

    assert spaces[0]["total"]([Row(), None]) == spaces[1]["total"]([Row(), None])


@pytest.mark.parametrize(
    "kept",
    [
        "def f(x):\n    return g(x=x)\n",  # the name of another function's parameter
        "from m import *\ndef f():\n    x = 1\ndef g():\n    return x\n",  # somebody else's
        "class A:\n    x = 1\n    def f(self):\n        x = 2\n        return x\n",
        "def f(x):\n    return locals()\n",
        "def f(x):\n    return f'{x}'\n",
        "def f():\n    import x\n    return x\n",
        "from x import y\ndef f(x):\n    return x\n",
        "from y import x as z\ndef f(x):\n    return x\n",
        "import a.x as z\ndef f(x):\n    return x\n",
        "def f():\n    global x\n    x = 1\n",
        "def f(p):\n    match p:\n        case P(x=0):\n            x = 1\n",
        "x = 1\n",
        "This is prose, and not Python.",
        "(" * 150 + ")" * 150,
    ],
)
def test_names_that_are_not_only_local_are_kept(kept: str) -> None:
    changed = perturb(kept, "identifiers", seed=0, document="d")
    assert changed is None or changed.text.count("x") == kept.count("x")


def test_closures_and_comprehensions_are_renamed_as_one() -> None:
    text = (
        "def outer(count):\n"
        "    def inner():\n"
        "        nonlocal count\n"
        "        count += 1\n"
        "        return [count for _ in (1, 2)]\n"
        "    return inner\n"
    )
    changed = run(text, "identifiers").text
    assert "count" not in changed
    space: dict[str, Any] = {}
    exec(changed, space)  # noqa: S102 - the text above
    assert space["outer"](1)() == [2, 2]


# A corpus with its variants


def test_variants_follow_the_originals_with_their_labels_and_group() -> None:
    text = "Ring the office at 555-0100 today"
    documents = parse_objects(
        [
            {"id": "a", "text": text, "group": "g", "labels": {"phone": [[19, 27]]}},
            {"id": "b", "text": "Ring them", "variant_of": "a", "perturbation": "paraphrase"},
        ]
    )
    made = with_variants(documents, ["prefix", "case"])
    assert [document.id for document in made] == ["a", "b", "a~case", "a~prefix"]
    assert made[:2] == documents
    for variant in made[2:]:
        assert (variant.variant_of, variant.group) == ("a", "g")
        ((start, end),) = variant.labels["phone"]
        assert variant.text[start:end] == "555-0100"
    assert parse_jsonl(to_jsonl(made)) == made
    assert with_variants(documents, ["case", "prefix"]) == made


def test_the_document_and_the_seed_choose_the_change() -> None:
    documents = [document(f"d{number}") for number in range(12)]
    made = with_variants(documents, ["typos"])[12:]
    assert len({variant.text for variant in made}) > 6
    assert with_variants(documents, ["typos"])[12:] == made
    assert with_variants(documents[:1], ["typos"], seed=1)[1].text != made[0].text


def test_labels_that_meet_in_a_swap_are_joined_as_the_registry_would() -> None:
    text = "abcdefgh " * 20
    labels = {"half": tuple((i, i + 1) for i in range(len(text)) if text[i] != " ")}
    made = with_variants([document(text=text, labels=labels)], ["typos"])
    assert parse_jsonl(to_jsonl(made)) == made


def test_a_perturbation_that_changes_nothing_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"'identifiers' changes nothing .* valid Python"):
        with_variants([document()], ["case", "identifiers"])
    with pytest.raises(InvalidInputError, match="'case' changes nothing"):
        with_variants([document(text="123")], ["case"])


def test_documents_without_a_change_are_left_out() -> None:
    made = with_variants([document("a"), document("b", "123")], ["case"])
    assert [item.id for item in made] == ["a", "b", "a~case"]


def test_ids_that_are_taken_or_too_long_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="'a~case', which is taken"):
        with_variants([document("a"), document("a~case")], ["case"])
    with pytest.raises(InvalidInputError, match="more than 500 characters"):
        with_variants([document("a" * 498)], ["case"])


def test_too_much_text_is_refused_before_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.registry.perturbations.MAX_CHARACTERS", 100)
    with pytest.raises(InvalidInputError, match="at most 100 are perturbed at once"):
        with_variants([document()], ["case"])


@given(st.lists(texts, min_size=1, max_size=4), st.sets(st.sampled_from(PERTURBATIONS)))
def test_a_corpus_with_variants_is_a_corpus(bodies: list[str], asked: set[Perturbation]) -> None:
    given_documents = [
        {"id": f"d{number}", "text": text, "labels": {"x": [[0, 1]], "y": True, "z": False}}
        for number, text in enumerate(bodies)
    ]
    try:
        documents = parse_jsonl("\n".join(map(json.dumps, given_documents)).encode())
        made = with_variants(documents, sorted(asked))
    except InvalidInputError:
        return
    assert parse_jsonl(to_jsonl(made)) == made
