"""Near-copies: what is one piece of evidence twice, and what only looks alike."""

import random
import unicodedata

from app.registry.documents import parse_objects
from app.registry.near_copies import near_copies
from app.registry.units import units_of_inference

WORDS = [f"w{i}" for i in range(2000)]


def text(words: int, seed: int) -> list[str]:
    return random.Random(seed).choices(WORDS, k=words)


def with_changes(words: list[str], changes: int) -> list[str]:
    """Other words in places so far apart that each change breaks five runs."""
    changed = list(words)
    for at in range(changes):
        changed[5 + at * 10] = f"new{at}"
    return changed


def test_documents_that_repeat_each_other_but_for_a_word_in_fifty_are_one_unit() -> None:
    """A statistician's first trick: a corpus twice, with a name changed in every copy."""
    originals = [text(300, seed) for seed in range(40)]
    copies = [with_changes(words, 6) for words in originals]
    documents = parse_objects(
        {"id": f"d{i}", "text": " ".join(words)} for i, words in enumerate(originals + copies)
    )
    assert units_of_inference(documents) == [*range(40), *range(40)]


def test_the_limit_is_four_fifths_of_the_runs_of_five_words() -> None:
    """Of 96 runs k changes break 5 k on each side: 2 leave 86 of 106 (.81), 3 leave 81 of 111."""
    words = text(100, 0)
    for changes, similar in ((2, True), (3, False)):
        pair = [" ".join(words), " ".join(with_changes(words, changes))]
        assert bool(list(near_copies(pair))) is similar


def test_unrelated_texts_and_short_prompts_of_one_template_are_units_of_their_own() -> None:
    unrelated = [" ".join(text(60, seed)) for seed in range(50)]
    prompts = [f"The capital of {word} is" for word in WORDS[:50]]
    sums = [f"{a} + {b} =" for a in range(9) for b in range(9)]
    assert not list(near_copies(unrelated + prompts + sums))


def test_case_and_white_space_make_no_other_document() -> None:
    assert list(near_copies(["Yes, it is.", "yes,  it\nis."])) == [(0, 1)]


def test_how_unicode_writes_a_text_makes_no_other_document() -> None:
    words = [f"{word}é" for word in text(30, 5)]
    plain = " ".join(words)
    others = [
        unicodedata.normalize("NFD", plain),
        plain.replace("w1", "w\u200b1"),
        "\ufeff" + plain.replace("w2", "w\u00ad2"),
    ]
    assert {later for _, later in near_copies([plain, *others])} == {1, 2, 3}


def test_sentences_without_spaces_are_compared_character_by_character() -> None:
    sentence = "".join(chr(0x4E00 + i) for i in random.Random(0).choices(range(3000), k=80))
    assert list(near_copies([sentence, sentence[:-1] + "。", sentence[::-1]])) == [(0, 1)]


def test_what_connects_two_units_makes_them_one() -> None:
    """Revisions of a page: the last has little of the first, and each nearly repeats another."""
    first = text(200, 1)
    revisions = [first]
    for seed in range(2, 12):
        previous = revisions[-1]
        revisions.append(previous[18:] + text(18, seed))
    values = [{"id": f"r{i}", "text": " ".join(words)} for i, words in enumerate(revisions)]
    random.Random(0).shuffle(values)
    assert set(units_of_inference(parse_objects(values))) == {0}


def test_a_thousand_variations_of_one_template_are_one_unit_and_each_is_compared_few_times() -> (
    None
):
    template = text(60, 3)
    variations = [" ".join([*template[:30], f"name{i}", *template[31:]]) for i in range(1000)]
    pairs = list(near_copies(variations))
    assert {later for _, later in pairs} == set(range(1, 1000))
    assert len(pairs) < 2000
