"""Paired with other tokens a feature must disagree with itself; what does not is caught."""

import numpy as np
import pytest

from tests.unit.controls.conftest import TOKENS, Bench
from workers.comparison.corpus import CorpusLabels
from workers.controls.shuffled_pairing import ShiftedPairs, draw_offset, judge
from workers.drift.policy import Floor, Policy


def test_each_token_stands_beside_the_one_an_offset_away(bench: Bench) -> None:
    values = bench.rng.random(TOKENS)
    latent = np.where(values < 0.3, values, 0)
    reader = bench.snapshot("a", {"latent": latent}, {"probe": values})
    for offset in (1, 700, TOKENS - 1):
        pairs = ShiftedPairs(reader, bench.corpus, offset)
        counts = (bench.flags == 0) & (np.roll(bench.flags, -offset) == 0)
        np.testing.assert_array_equal(pairs.units.cluster, np.where(counts, bench.document, -1))
        for bounds in ([0, TOKENS], [0, 1, 999, 1500, TOKENS - 3, TOKENS]):
            blocks = list(pairs.blocks(bounds, slice(0, 1)))
            for side, shift in (("a", 0), ("b", -offset)):
                dense = np.concatenate([getattr(b, f"dense_{side}")[:, 0] for b in blocks])
                sparse = np.concatenate([getattr(b, f"sparse_{side}").toarray() for b in blocks])
                np.testing.assert_array_equal(dense, np.roll(values.astype(np.float32), shift))
                np.testing.assert_array_equal(
                    sparse[:, 0], np.roll(latent.astype(np.float32), shift)
                )
    with pytest.raises(ValueError, match="offset 0 of 3200 tokens"):
        ShiftedPairs(reader, bench.corpus, 0)


def test_features_that_fire_everywhere_or_never_change_are_caught(bench: Bench) -> None:
    rng = bench.rng
    rare = np.zeros(TOKENS)
    rare[rng.choice(TOKENS, 20, replace=False)] = 1
    reader = bench.snapshot(
        "a",
        {
            "ordinary": np.where(rng.random(TOKENS) < 0.1, 1 + rng.random(TOKENS), 0),
            "always-on": 1 + rng.random(TOKENS),
            "nearly-always-on": np.where(rng.random(TOKENS) < 0.97, 1.0, 0),
            "rare": rare,
        },
        {"probe": rng.normal(size=TOKENS), "constant": np.full(TOKENS, 0.7)},
    )
    outcome = judge(reader, bench.corpus, Policy())
    assert {name: found.passed for name, found in outcome.features.items()} == {
        "ordinary": True,
        "always-on": False,
        "nearly-always-on": False,
        "rare": None,
        "probe": True,
        "constant": False,
    }
    assert outcome.passed is False
    assert "one value at every token" in outcome.features["constant"].detail
    assert "cannot fail" in outcome.features["always-on"].detail
    assert outcome.features["probe"].figures["identity"] == pytest.approx(1, abs=0.1)
    assert outcome.figures["failed"] == 3
    blockwise = judge(reader, bench.corpus, Policy(), memory_bytes=1)
    assert blockwise.to_json() == outcome.to_json()


def test_a_margin_that_no_pairing_exceeds_cannot_fail(bench: Bench) -> None:
    rng = bench.rng
    reader = bench.snapshot("a", {"often": np.where(rng.random(TOKENS) < 0.6, 1.0, 0)})
    assert judge(reader, bench.corpus, Policy()).passed is True
    floors = {("identity_sparse", s): Floor(0.8, "numerics_dtype") for s in range(8)}
    assert judge(reader, bench.corpus, Policy(noise_floor=floors)).passed is False  # type: ignore[arg-type]


def test_the_offset_is_a_tenth_of_the_tokens_or_more_either_way() -> None:
    for tokens in (2, 3, 10, 11, 1000):
        offsets = {draw_offset(tokens, seed) for seed in range(50)}
        assert min(offsets) >= tokens / 10
        assert max(offsets) <= max(tokens * 0.9, 1)
    assert len({draw_offset(1000, seed) for seed in range(50)}) > 30
    assert draw_offset(1000, 3) == draw_offset(1000, 3)
    with pytest.raises(ValueError, match="1 tokens cannot be paired"):
        draw_offset(1, 0)


def test_groups_of_documents_are_the_clusters(bench: Bench) -> None:
    reader = bench.snapshot("a", {"often": np.where(bench.rng.random(TOKENS) < 0.5, 1.0, 0)})
    outcome = judge(reader, CorpusLabels(np.arange(80) // 8), Policy())
    assert outcome.features["often"].passed is None
    assert "active in 10 documents only" in outcome.features["often"].detail
