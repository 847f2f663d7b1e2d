"""Names and numbers as they stand in a picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from app.charts.words import clean, count, decimal, listing, number, quoted, shorten


@given(st.text(), st.integers(3, 60))
def test_a_shortened_name_fits_and_a_short_one_is_left_alone(text: str, cells: int) -> None:
    short = shorten(text, cells)
    assert cell_len(short, "latest") <= cells
    if cell_len(clean(text), "latest") <= cells:
        assert short == clean(text)


def test_names_are_cut_in_the_middle_and_clusters_kept_whole() -> None:
    assert shorten("gemma/layer.12/latent/40213", 15) == "gemma/l…t/40213"
    family = "👩‍👩‍👧‍👦"
    cut = shorten(family * 10, 9)
    assert cut.replace(family, "") == "…"
    assert cut.count(family) == 4


@given(st.text())
def test_clean_text_can_stand_in_xml(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert not set(cleaned) & {"\x00", "\x0b", "\n", "\u202e", "\u2066", "\ufffe", "\uffff"}
    assert clean(cleaned) == cleaned


def test_names_that_run_from_right_to_left_are_isolated_in_sentences() -> None:
    assert quoted("phone") == "“phone”"
    assert quoted("שלום") == "“\u2068שלום\u2069”"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (-0.12345, "−0.123"),
        (1234.0, "1234"),
        (1e-7, "1e−7"),
        (2.5e9, "2.5e9"),
        (float("inf"), "∞"),
        (float("-inf"), "−∞"),
    ],
)
def test_numbers_have_three_digits_and_a_true_minus(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.4, "0.40"),
        (-0.0961, "−0.10"),
        (0.0123, "0.012"),
        (0.0, "0"),
        (123.4, "123"),
        (5e-17, "≈0"),
        (-6e-4, "−0.0006"),
    ],
)
def test_columns_of_effects_have_two_decimals(value: float | None, text: str) -> None:
    assert decimal(value) == text


def test_counts_and_lists_read_as_sentences_do() -> None:
    assert [count(n, "feature") for n in (0, 1, 12_000)] == [
        "0 features",
        "1 feature",
        "12,000 features",
    ]
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "c"]) == "a, b and c"
