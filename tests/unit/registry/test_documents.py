"""Corpora: what is read back, and how each fault is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidInputError
from app.registry.documents import (
    Document,
    parse_jsonl,
    parse_objects,
    to_jsonl,
)
from app.registry.facts import describe
from app.registry.units import units_of_inference


def lines(*values: Any) -> bytes:
    return "\n".join(json.dumps(value) for value in values).encode()


def test_a_document_is_read_with_all_that_it_says() -> None:
    (original, variant) = parse_jsonl(
        lines(
            {"id": "a", "text": "x = 1  # é", "group": "g", "labels": {"comment": [[7, 10]]}},
            {"id": "b", "text": "y = 1", "variant_of": "a", "perturbation": "rename"},
        )
    )
    assert original == Document("a", "x = 1  # é", group="g", labels={"comment": ((7, 10),)})
    assert variant == Document("b", "y = 1", group="g", variant_of="a", perturbation="rename")
    assert original.cluster == variant.cluster == "group:g"


def test_a_whole_document_label_is_one_span_and_false_is_none() -> None:
    (document,) = parse_jsonl(lines({"id": "a", "text": "abc", "labels": {"x": True, "y": False}}))
    assert document.labels == {"x": ((0, 3),), "y": ()}


def test_spans_are_sorted_and_overlaps_joined_but_touching_spans_stay_apart() -> None:
    (document,) = parse_objects(
        [{"id": "a", "text": "abcdefgh", "labels": {"x": [[4, 6], [0, 2], [1, 3], [6, 7]]}}]
    )
    assert document.labels == {"x": ((0, 3), (4, 6), (6, 7))}


def test_a_variant_is_one_unit_of_inference_with_its_original() -> None:
    documents = parse_objects(
        [
            {"id": "a", "text": "one"},
            {"id": "b", "text": "two", "variant_of": "a"},
            {"id": "c", "text": "three", "labels": {"x": True}},
        ]
    )
    facts = describe(documents)
    assert (facts.documents, facts.groups, facts.characters) == (3, 2, 11)
    assert facts.concepts == {"x": {"documents": 1, "spans": 1}}


def test_copies_of_a_text_are_one_unit_of_inference_and_join_their_groups() -> None:
    """Eighty copies of one document are one piece of evidence, whatever ids they are given."""
    copies = parse_objects({"id": f"d{i}", "text": "same"} for i in range(80))
    assert describe(copies).groups == 1
    documents = parse_objects(
        [
            {"id": "a", "text": "one", "group": "g"},
            {"id": "b", "text": "two"},
            {"id": "c", "text": "three", "group": "h"},
            {"id": "d", "text": "one", "group": "h"},
            {"id": "e", "text": "four", "variant_of": "b"},
        ]
    )
    assert units_of_inference(documents) == [0, 1, 0, 0, 1]


def test_byte_order_mark_blank_lines_and_windows_line_ends_are_read() -> None:
    data = b'\xef\xbb\xbf{"id": "a", "text": "x"}\r\n\r\n{"id": "b", "text": "y"}\r\n'
    assert [document.id for document in parse_jsonl(data)] == ["a", "b"]


texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1)
texts = texts.filter(lambda text: bool(text.strip()))


@given(st.lists(st.tuples(texts, st.none() | texts), min_size=1, max_size=5))
def test_the_canonical_form_reads_back_as_the_same_documents(
    values: list[tuple[str, str | None]],
) -> None:
    documents = [
        Document(f"d{i}", text, group=group, labels={"whole": ((0, len(text)),)})
        for i, (text, group) in enumerate(values)
    ]
    assert parse_jsonl(to_jsonl(documents)) == documents


GOOD = b'{"id": "good", "text": "fine"}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "line 2: not valid JSON at character 2"),
        (b'{"id": "a", "text": "x"} {}', "line 2: not valid JSON at character 26"),
        (b'{"id": "a", "text": NaN}', "line 2: NaN is not JSON"),
        (b'{"id": "a", "id": "b", "text": "x"}', "line 2: the key 'id' appears twice"),
        (b'{"id": "a", "text": "\xff"}', "line 2: byte 22 is not UTF-8"),
        (b"[" * 100_000, "line 2: "),
        (b"1" * 5000, "line 2: not valid JSON"),
        (b"[1]", "line 2: must be a JSON object"),
        (b'{"text": "x"}', "line 2: id is missing"),
        (b'{"id": "a"}', "line 2: text is missing"),
        (b'{"id": "a", "text": ""}', "line 2: text is empty"),
        (b'{"id": "a", "text": " \\n"}', "line 2: text is empty"),
        (b'{"id": "a", "text": 5}', "line 2: text must be a string, not int"),
        (b'{"id": "a", "text": "x\\u0000"}', "line 2: text contains a NUL"),
        (b'{"id": "a", "text": "\\ud800"}', "line 2: text contains the lone surrogate U+D800"),
        (b'{"id": "good", "text": "x"}', "line 2: the id 'good' is taken by line 1"),
        (b'{"id": "a", "text": "x", "txt": 1}', "line 2: unknown key 'txt'"),
        (b'{"id": "a", "text": "x", "variant_of": "z"}', "'z', which is not in this corpus"),
        (b'{"id": "a", "text": "x", "variant_of": "a"}', "which is itself a variant"),
        (b'{"id": "a", "text": "x", "perturbation": "p"}', "without variant_of"),
        (
            b'{"id": "a", "text": "x", "variant_of": "good", "group": "h"}',
            "group 'h' differs from None",
        ),
        (b'{"id": "a", "text": "x", "labels": [1]}', "line 2: labels must be an object"),
        (b'{"id": "a", "text": "x", "labels": {"c": 3}}', "line 2: labels['c']: must be a list"),
        (b'{"id": "a", "text": "x", "labels": {"c": [[0, 2]]}}', "span [0, 2] is outside the text"),
        (b'{"id": "a", "text": "x", "labels": {"c": [[1, 1]]}}', "span [1, 1] is outside the text"),
        (b'{"id": "a", "text": "x", "labels": {"c": [[-1, 1]]}}', "outside the text of 1"),
        (b'{"id": "a", "text": "x", "labels": {"c": [[false, true]]}}', "two integers"),
        (b'{"id": "a", "text": "x", "labels": {"c": [[0]]}}', "two integers"),
        (b'{"id": "a", "text": "x", "labels": {"": true}}', "must have 1 to 200 characters"),
    ],
)
def test_a_bad_line_is_named(line: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_jsonl(GOOD + line)
    assert message in caught.value.detail
    assert caught.value.code == "invalid_corpus"


@pytest.mark.parametrize("data", [b"", b"\n\n"])
def test_an_empty_corpus_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError, match="no documents"):
        parse_jsonl(data)
