"""Whole comparisons over snapshots on disk."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.unit.comparison.bench import (
    CONCEPTS,
    DOCUMENTS,
    LATENTS,
    LENGTH,
    PROBES,
    TOKENS,
    Bench,
    changed,
    numbers,
)
from workers.comparison import (
    CorpusLabels,
    compare_snapshots,
    identical,
    write_parquet,
)
from workers.drift.ladder import Blocked
from workers.drift.policy import Policy
from workers.snapshots import (
    OUTLIER,
    SPECIAL,
)


def test_the_same_weights_have_effects_of_exactly_zero(bench: Bench) -> None:
    a, b = bench.snapshot("a"), bench.snapshot("b", shards=5)
    result = compare_snapshots(a, b, bench.corpus, Policy(), concepts=CONCEPTS)
    assert result.invalid_reason is None
    assert result.summary.counts["stable"] == LATENTS + PROBES
    for row in result.verdicts:
        assert {e.effect for e in row.estimates.values()} == {0.0}
        assert {e.se for e in row.estimates.values()} == {0.0}
    assert "concept" in result.verdicts.by_name("probe-0").estimates


def test_planted_changes_are_found_and_named(bench: Bench) -> None:
    a, b = bench.snapshot("a"), changed(bench)
    result = compare_snapshots(a, b, bench.corpus, Policy(), concepts=CONCEPTS)
    table = result.verdicts
    assert table.by_name("latent-1").change == "dead"
    assert table.by_name("latent-2").change == "magnitude"
    assert [table.by_name(f"latent-{i}").verdict for i in (0, 3, 4, 5)] == ["stable"] * 4
    probe = table.by_name("probe-0")
    assert probe.verdict == "drifted"
    assert probe.estimates["concept"].effect == pytest.approx(
        probe.concept_auroc_candidate - probe.concept_auroc_baseline
    )
    assert probe.concept_auroc_baseline == pytest.approx(0.921, abs=0.02)
    assert table.by_name("latent-0").concept_auroc_baseline == 1.0
    assert table.by_name("probe-1").concept_auroc_baseline is None


def test_neither_memory_nor_shards_nor_the_order_of_documents_change_a_number(
    bench: Bench,
) -> None:
    a, b = bench.snapshot("a"), changed(bench)
    whole = compare_snapshots(a, b, bench.corpus, Policy(), concepts=CONCEPTS)
    tight = compare_snapshots(a, b, bench.corpus, Policy(), concepts=CONCEPTS, memory_bytes=1)
    assert numbers(tight) == numbers(whole)
    order = np.random.default_rng(3).permutation(DOCUMENTS)
    corpus = replace(bench.corpus, groups=order)
    assert numbers(compare_snapshots(a, b, corpus, Policy(), concepts=CONCEPTS)) == numbers(whole)


def test_documents_of_one_group_count_once(bench: Bench) -> None:
    corpus = replace(bench.corpus, groups=np.arange(DOCUMENTS) // 4)
    result = compare_snapshots(bench.snapshot("a"), changed(bench), corpus, Policy())
    row = result.verdicts.by_name("latent-3")
    assert row.verdict == "insufficient"
    assert row.g_active == DOCUMENTS // 4


def test_special_tokens_and_outliers_of_both_sides_are_left_out_and_counted(bench: Bench) -> None:
    flags = bench.flags.copy()
    flags[:10] = SPECIAL
    flags[40:43] = OUTLIER
    wild = bench.latents.copy()
    wild[40:42] = 1e6
    a = bench.snapshot("a", flags=flags)
    b = bench.snapshot("b", flags=flags, latents=wild)
    result = compare_snapshots(a, b, bench.corpus, Policy())
    assert (result.special_tokens, result.outlier_tokens) == (10, 3)
    assert result.tokens == result.verdicts[0].n_tokens == TOKENS - 13
    assert all(row.effect == 0 for row in result.verdicts)


def test_a_feature_with_one_value_everywhere_is_not_stable(bench: Bench) -> None:
    probes = bench.probes.copy()
    probes[:, 1] = 0.3
    a, b = (bench.snapshot(name, probes=probes) for name in "ab")
    verdicts = compare_snapshots(a, b, bench.corpus, Policy()).verdicts
    row = verdicts.by_name("probe-1")
    assert (row.verdict, verdicts.by_name("probe-2").verdict) == ("inconclusive", "stable")
    assert "no spread" in row.reason


@pytest.mark.parametrize(
    ("labelled", "note"),
    [
        (lambda _: [], "No token that counts carries"),
        (lambda _: [(0, 4 * LENGTH)], "Every token that counts carries"),
        (
            lambda document: [(0, 8)] if document == 3 else [],
            "Fewer documents than needed (1 of 50) carry",
        ),
        (
            lambda document: [(8 * (document == 3), 4 * LENGTH)],
            "Fewer documents than needed (1 of 50) are in part without",
        ),
    ],
)
def test_labels_that_cannot_tell_are_noted(
    bench: Bench, labelled: Callable[[int], list[tuple[int, int]]], note: str
) -> None:
    corpus = replace(bench.corpus, labels={"number": [labelled(i) for i in range(DOCUMENTS)]})
    result = compare_snapshots(
        bench.snapshot("a"), changed(bench), corpus, Policy(), concepts=CONCEPTS
    )
    assert [n for n in result.notes if note in n and "'number'" in n]
    assert "concept" not in result.verdicts.by_name("probe-0").estimates


def test_a_dictionary_whose_variance_was_not_measured_is_noted(bench: Bench) -> None:
    a, b = bench.snapshot("a", fvu=None), bench.snapshot("b", fvu=None)
    result = compare_snapshots(a, b, bench.corpus, Policy(), dictionaries={"latent-0": ["sae"]})
    assert any("dictionary sae explains was not measured" in note for note in result.notes)


@pytest.mark.parametrize("words", [False, True])
def test_tokens_that_become_outliers_are_drift_and_not_left_out(bench: Bench, words: bool) -> None:
    """A checkpoint must not pass because the tokens that it broke are too wild to look at."""
    broken = bench.number
    probes, flags = bench.probes.copy(), bench.flags.copy()
    probes[broken] *= 300
    flags[broken] = OUTLIER
    changed = {"probes": probes, "flags": flags}
    if words:
        changed["tokenizer_digest"] = "9" * 64
    result = compare_snapshots(
        bench.snapshot("a"), bench.snapshot("b", **changed), bench.corpus, Policy()
    )
    assert (result.tokens, result.outlier_tokens) == (TOKENS, 0)
    assert result.verdicts.by_name("probe-1").verdict == "drifted"
    assert any(f"{broken.sum()} {'words' if words else 'tokens'}" in n for n in result.notes)


def test_tokens_left_out_do_not_enter_an_auroc(bench: Bench) -> None:
    """Latent 0 fires on numbers alone; wild values elsewhere are all on special tokens."""
    latents, probes, flags = bench.latents.copy(), bench.probes.copy(), bench.flags.copy()
    rows = np.flatnonzero(~bench.number)[::7]
    latents[rows, 0], probes[rows, 0], flags[rows] = 99.0, 99.0, SPECIAL
    a, b = (bench.snapshot(n, latents=latents, probes=probes, flags=flags) for n in "ab")
    table = compare_snapshots(a, b, bench.corpus, Policy(), concepts=CONCEPTS).verdicts
    assert table.by_name("latent-0").concept_auroc_baseline == 1.0
    assert table.by_name("probe-0").concept_auroc_baseline == pytest.approx(0.921, abs=0.02)


def test_special_tokens_are_no_part_of_a_word(bench: Bench) -> None:
    other = other_tokenizer(bench)
    second = np.arange(2 * TOKENS) % 2 == 1
    other["flags"] = np.where(second, SPECIAL, 0).astype(np.uint8)
    other["probes"] = np.where(second[:, None], 1e6, other["probes"])
    result = compare_snapshots(
        bench.snapshot("a"), bench.snapshot("b", **other), bench.corpus, Policy()
    )
    assert result.special_tokens == TOKENS
    assert result.verdicts.by_name("probe-1").effect == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"corpus_digest": "9" * 64}, "probe corpora differ: 333333333333… beside 999999999999…"),
        ({"features_digest": "9" * 64}, "feature sets differ"),
        ({"dictionaries": {"sae": "9" * 64}}, "dictionaries differ: sae 5555"),
        ({"sequence_length": 99}, "sequence lengths differ: 30 beside 99"),
        ({"numerics": {"dtype": "bfloat16", "threads": 2}}, "dtype float32 beside bfloat16"),
    ],
)
def test_snapshots_that_differ_in_more_than_the_checkpoint_are_invalid(
    bench: Bench, change: dict[str, Any], words: str
) -> None:
    result = compare_snapshots(
        bench.snapshot("a"), bench.snapshot("b", **change), bench.corpus, Policy()
    )
    assert result.invalid_reason is not None
    assert words in result.invalid_reason
    assert {row.verdict for row in result.verdicts} == {"invalid"}
    assert words in result.verdicts[0].reason
    assert result.summary.drifted_ratio is None


def test_numerics_may_differ_in_a_control_of_the_numerics(bench: Bench) -> None:
    b = bench.snapshot("b", numerics={"dtype": "bfloat16"})
    a = bench.snapshot("a")
    result = compare_snapshots(a, b, bench.corpus, Policy(), numerics_may_differ=True)
    assert result.invalid_reason is None


def test_other_tokens_under_one_tokenizer_are_invalid_with_the_first_place(bench: Bench) -> None:
    start = bench.start.copy()
    start[17] += 1
    result = compare_snapshots(
        bench.snapshot("a"), bench.snapshot("b", start=start), bench.corpus, Policy()
    )
    assert "position 17: document 0 [68, 72) beside document 0 [69, 72)" in str(
        result.invalid_reason
    )


def test_a_dictionary_that_fails_its_gate_makes_only_its_features_invalid(bench: Bench) -> None:
    result = compare_snapshots(
        bench.snapshot("a", fvu=0.8),
        bench.snapshot("b", fvu=0.1),
        bench.corpus,
        Policy(),
        dictionaries={"latent-0": ["sae"], "probe-0": ["another", "sae"], "probe-1": ["another"]},
        blocked={"latent-1": Blocked("untrusted", "A control failed.")},
    )
    row = result.verdicts.by_name("latent-0")
    assert row.verdict == "invalid"
    assert "leaves 0.8 of the baseline's variance" in row.reason
    assert result.verdicts.by_name("probe-0").verdict == "invalid"
    assert result.verdicts.by_name("probe-1").verdict == "stable"
    assert result.verdicts.by_name("latent-1").verdict == "untrusted"
    assert result.verdicts.by_name("latent-2").verdict == "stable"


def test_a_probe_that_is_blind_where_it_should_fire_has_drifted(bench: Bench) -> None:
    """Mean, spread and concordance stay within their margins; the alarm is gone all the same."""
    rng = np.random.default_rng(2)
    fires = rng.random(TOKENS) < 0.05
    probes = bench.probes.copy()
    probes[:, 1] = rng.normal(size=TOKENS) - 2.5 + 3 * fires
    probes[:, 2] = 0.2 * rng.normal(size=TOKENS) - 3  # never above its threshold
    blind = probes.copy()
    blind[:, 1] -= 1.5 * fires
    result = compare_snapshots(
        bench.snapshot("a", probes=probes),
        bench.snapshot("b", probes=blind),
        bench.corpus,
        Policy(),
    )
    row = result.verdicts.by_name("probe-1")
    assert (row.verdict, row.changes) == ("drifted", ("rate",))
    assert all(abs(e.effect) < e.margin for name, e in row.estimates.items() if name != "rate")
    assert row.estimates["rate"].effect < -0.8
    assert "firing rate ×" in row.reason
    assert "rate" not in result.verdicts.by_name("probe-2").estimates
    assert result.verdicts.by_name("probe-2").verdict == "stable"


def test_a_probe_whose_few_alarms_are_all_gone_has_drifted(bench: Bench) -> None:
    """Too few documents for an interval of its rate; that none is left needs no interval."""
    rng = np.random.default_rng(3)
    alarmed = np.arange(20) * LENGTH
    probes = bench.probes.copy()
    probes[:, :2] = rng.normal(size=(TOKENS, 2)) - 5
    probes[alarmed, 0] = 1
    probes[alarmed[:4], 1] = 1
    blind = probes.copy()
    blind[alarmed, 0] = -3
    blind[alarmed[:4], 1] = -3
    result = compare_snapshots(
        bench.snapshot("a", probes=probes),
        bench.snapshot("b", probes=blind),
        bench.corpus,
        Policy(),
    )
    row = result.verdicts.by_name("probe-0")
    assert (row.verdict, row.changes) == ("drifted", ("rate",))
    assert all(abs(e.effect) < e.margin for name, e in row.estimates.items() if name != "rate")
    # Four documents could have done so by chance.
    assert "rate" not in result.verdicts.by_name("probe-1").estimates
    assert result.verdicts.by_name("probe-1").verdict == "stable"


def test_a_dictionary_that_no_longer_describes_the_candidate_is_noted(bench: Bench) -> None:
    a, b = bench.snapshot("a", fvu=0.1), bench.snapshot("b", fvu=5.3)
    result = compare_snapshots(a, b, bench.corpus, Policy(), dictionaries={"latent-0": ["sae"]})
    assert any("leaves 5.3 of the candidate's variance" in note for note in result.notes)
    assert result.verdicts.by_name("latent-0").verdict == "stable"
    unread = compare_snapshots(a, b, bench.corpus, Policy(), dictionaries={"probe-0": ["other"]})
    assert unread.notes == ()


def other_tokenizer(bench: Bench) -> dict[str, Any]:
    """The same words cut in two tokens each, in another order of documents."""
    order = np.random.default_rng(4).permutation(DOCUMENTS)
    rows = (order[:, None] * LENGTH + np.arange(LENGTH)).ravel().repeat(2)
    second = np.arange(len(rows)) % 2 == 1
    return {
        "tokenizer_digest": "8" * 64,
        "document": bench.document[rows],
        "start": np.where(second, bench.start[rows] + 2, bench.start[rows]).astype(np.int32),
        "end": np.where(second, bench.end[rows], bench.start[rows] + 2).astype(np.int32),
        "flags": bench.flags[rows],
        "latents": bench.latents[rows],
        "probes": bench.probes[rows],
    }


def test_different_tokenizers_are_paired_by_words(bench: Bench) -> None:
    a, b = bench.snapshot("a"), bench.snapshot("b", **other_tokenizer(bench))
    result = compare_snapshots(a, b, bench.corpus, Policy(), concepts=CONCEPTS)
    assert result.invalid_reason is None
    assert "pooled by mean over 2400 words" in result.notes[0]
    assert result.tokens == TOKENS
    for row in result.verdicts:
        assert row.verdict == "stable"
        assert row.effect == pytest.approx(0, abs=1e-6)
    assert result.verdicts.by_name("latent-0").concept_auroc_candidate == 1.0


def test_words_need_texts_and_offsets_that_fit_them(bench: Bench) -> None:
    a, other = bench.snapshot("a"), other_tokenizer(bench)
    blind = compare_snapshots(
        a, bench.snapshot("b", **other), replace(bench.corpus, texts=None), Policy()
    )
    assert "without the corpus's texts" in str(blind.invalid_reason)
    outside = other | {"end": other["end"] + np.int32(1000)}
    wrong = compare_snapshots(a, bench.snapshot("c", **outside), bench.corpus, Policy())
    assert "a span outside their document" in str(wrong.invalid_reason)
    none = other | {"end": other["start"]}
    empty = compare_snapshots(a, bench.snapshot("d", **none), bench.corpus, Policy())
    assert "only 0% of the words" in str(empty.invalid_reason)


def test_labels_that_are_missing_or_without_tokens_are_noted(bench: Bench) -> None:
    corpus = replace(bench.corpus, labels={"empty": [[] for _ in range(DOCUMENTS)]})
    concepts = {"probe-0": "empty", "probe-1": "absent"}
    result = compare_snapshots(
        bench.snapshot("a"), bench.snapshot("b"), corpus, Policy(), concepts=concepts
    )
    assert "The corpus has no labels for concept 'absent'." in result.notes
    assert any("No token that counts carries concept 'empty'" in note for note in result.notes)
    assert result.verdicts.by_name("probe-0").verdict == "stable"


def test_a_comparison_in_which_no_token_counts_is_insufficient(bench: Bench) -> None:
    flags = np.full(TOKENS, SPECIAL)
    a, b = (bench.snapshot(name, flags=flags) for name in "ab")
    result = compare_snapshots(a, b, bench.corpus, Policy(), concepts=CONCEPTS)
    assert result.summary.counts["insufficient"] == LATENTS + PROBES
    assert result.verdicts.top(1)[0].reason


def test_the_no_op_control_counts_every_value_that_differs(bench: Bench) -> None:
    a = bench.snapshot("a")
    assert identical(a, bench.snapshot("b", shards=4)).bit_equal
    latents, probes = bench.latents.copy(), bench.probes.copy()
    row, column = np.argwhere(latents == 0)[5]
    latents[row, column] = 0.5
    probes[3, 1] += 1
    found = identical(a, bench.snapshot("c", latents=latents, probes=probes))
    assert not found.bit_equal
    assert found.differing_values == 2
    assert found.max_abs_difference == pytest.approx(1)
    flags = bench.flags.copy()
    flags[0] = OUTLIER
    assert identical(a, bench.snapshot("d", flags=flags)).max_abs_difference == np.inf


def test_the_no_op_control_compares_a_part_with_a_capture_of_that_part(bench: Bench) -> None:
    a = bench.snapshot("a")
    part = slice(*a.token_range(1, 2))
    names = ("document", "start", "end", "flags", "latents", "probes")
    arrays = {name: getattr(bench, name)[part] for name in names}
    b = bench.snapshot("b", shards=1, **arrays)
    found = identical(a, b, a.token_range(1, 2))
    assert found.bit_equal
    assert found.tokens == TOKENS // 3
    with pytest.raises(ValueError, match="2400 tokens cannot be compared with 800"):
        identical(a, b)


def test_a_whole_dictionary_goes_to_parquet_and_back(bench: Bench) -> None:
    result = compare_snapshots(bench.snapshot("a"), changed(bench), bench.corpus, Policy())
    rows = pq.read_table(io.BytesIO(write_parquet(result.verdicts))).to_pylist()
    assert [row["feature"] for row in rows] == list(result.verdicts.names)
    for row, verdict in zip(rows, result.verdicts, strict=True):
        assert row["verdict"] == verdict.verdict
        assert row["changes"] == list(verdict.changes)
        assert row["q_drifted"] == verdict.q_drifted
        for estimand, estimate in verdict.estimates.items():
            assert row[f"{estimand}_effect"] == estimate.effect
            assert row[f"{estimand}_margin_source"] == estimate.margin_source
    assert rows[0]["shift_effect"] is None
    assert rows[0]["shift_margin_source"] is None


def test_documents_that_the_corpus_does_not_have_are_invalid(bench: Bench) -> None:
    corpus = CorpusLabels(np.arange(DOCUMENTS - 1))
    result = compare_snapshots(bench.snapshot("a"), bench.snapshot("b"), corpus, Policy())
    assert "document 79, the corpus has 79" in str(result.invalid_reason)
