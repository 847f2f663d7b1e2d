"""A feature that reads its concept no better than a random direction is caught."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from app.registry.definitions import Component, Composite, Direction, Feature, SaeLatent
from tests.unit.controls.conftest import SITE, TOKENS, Bench
from workers.comparison.corpus import CorpusLabels
from workers.comparison.sites import single_sample
from workers.controls.outcome import ControlOutcome
from workers.controls.random_features import judge
from workers.controls.readouts import _ranks, measure_chance, rank_auroc
from workers.drift.auroc import Labels, Scores, paired_auroc

WIDTH = 24


def auroc(values: Any, positive: Any) -> float:
    """Mann and Whitney's U by scipy."""
    u = stats.mannwhitneyu(values[positive], values[~positive]).statistic
    return float(u / (positive.sum() * (~positive).sum()))


@pytest.mark.parametrize("levels", [3, 50, 10**9])
def test_auroc_of_many_columns_equals_the_reference(levels: int) -> None:
    rng = np.random.default_rng(levels)
    x = np.floor(rng.normal(size=(400, 5)) * levels).astype(np.float32)
    positive = rng.random(400) < 0.2
    ranks = _ranks(x)
    np.testing.assert_allclose(ranks, stats.rankdata(x, axis=0))
    np.testing.assert_allclose(rank_auroc(ranks, positive), [auroc(c, positive) for c in x.T])
    for rate in (0.0, 0.05, 0.5, 1.0):
        for column, found in zip(x.T, rank_auroc(ranks, positive, rate), strict=True):
            on = stats.rankdata(column) > 400 - round(rate * 400) + 0.5
            rectified = np.where(on, column - column.min() + 1, 0)
            assert found == pytest.approx(auroc(rectified, positive))
    assert np.isnan(rank_auroc(ranks, np.zeros(400, bool))).all()


class Planted:
    """A concept along the first axis of a site, and features that read it or only claim to."""

    def __init__(self, bench: Bench) -> None:
        rng = bench.rng
        self.x = rng.normal(size=(TOKENS, WIDTH))
        self.x[:, 0] += 2 * bench.number
        axis, other = np.eye(WIDTH)[0], rng.normal(size=WIDTH)
        reads, claims = self.x @ axis, self.x @ (other / np.linalg.norm(other))
        dense = {"reads": reads, "claims": claims, "constant": np.ones(TOKENS)}
        latents = {
            f"latent-{name}": np.where(v > np.quantile(v, 0.9), v - np.quantile(v, 0.9), 0)
            for name, v in (("reads", reads), ("claims", claims))
        }
        latents["both"] = np.maximum(latents["latent-reads"], 0.1 * latents["latent-claims"])
        self.features: dict[str, Feature] = {
            "reads": Direction(name="reads", site=SITE, vector=tuple(axis)),
            "claims": Direction(name="claims", site=SITE, vector=tuple(other)),
            "constant": Direction(name="constant", site=SITE, vector=tuple(axis)),
            "latent-reads": SaeLatent(name="latent-reads", dictionary="sae", index=0),
            "latent-claims": SaeLatent(name="latent-claims", dictionary="sae", index=1),
            "both": Composite(
                name="both",
                operation="max",
                components=(
                    Component(feature="latent-reads"),
                    Component(feature="latent-claims", weight=0.1),
                ),
            ),
        }
        self.concepts = dict.fromkeys(self.features, "number")
        self.reader = bench.snapshot("a", latents, dense, {SITE: self.x})
        self.sample = single_sample(self.reader, bench.corpus)

    def chance(self, corpus: CorpusLabels, **options: Any) -> Any:
        return measure_chance(
            self.reader, self.sample, corpus, self.concepts, self.features, {"sae": SITE}, **options
        )


@pytest.fixture
def planted(bench: Bench) -> Planted:
    return Planted(bench)


def test_a_random_direction_that_claims_a_concept_is_caught(bench: Bench, planted: Planted) -> None:
    outcome = judge(planted.chance(bench.corpus))
    assert {name: found.passed for name, found in outcome.features.items()} == {
        "reads": True,
        "claims": False,
        "constant": False,
        "latent-reads": True,
        "latent-claims": False,
        "both": True,
    }
    assert outcome.passed is False
    assert "A random direction with the same firing rate" in outcome.features["claims"].detail
    assert ControlOutcome.from_json(outcome.to_json()).to_json() == outcome.to_json()


def test_chance_is_that_of_the_kind_and_the_firing_rate(bench: Bench, planted: Planted) -> None:
    chance = planted.chance(bench.corpus, directions=400)
    kept = bench.flags == 0
    labels = Labels(bench.number[kept], bench.document[kept], 80)
    own = paired_auroc(
        Scores(planted.x[kept, 0].astype(np.float32)), Scores(np.zeros(kept.sum())), labels
    )
    assert chance["reads"].auroc == pytest.approx(own.baseline)
    assert chance["reads"].se == pytest.approx(np.sqrt(own.variance))
    # A random unit vector shifts by 2/√width standard deviations, in a normal distribution.
    expected = stats.norm.cdf(2 / np.sqrt(WIDTH) / np.sqrt(2)) - 0.5
    assert chance["reads"].sd == pytest.approx(expected, rel=0.2)
    assert chance["reads"].mean == pytest.approx(0.5, abs=0.03)
    # Of which a tenth of the tokens, tied where they are silent, shows little.
    assert chance["latent-reads"].sd < 0.5 * chance["reads"].sd
    again = planted.chance(bench.corpus, directions=400)
    np.testing.assert_array_equal(again["both"].random, chance["both"].random)
    other = planted.chance(bench.corpus, directions=400, seed=1)
    assert not np.isin(other["reads"].random, chance["reads"].random).any()


def test_few_distinct_tokens_make_chance_wide(bench: Bench) -> None:
    kind = bench.rng.integers(0, 12, TOKENS)
    bench.number = (kind < 3) & (bench.flags == 0)
    embedding = bench.rng.normal(size=(12, WIDTH))
    vector = bench.rng.normal(size=WIDTH)
    reader = bench.snapshot("a", {}, {"any": embedding[kind] @ vector}, {SITE: embedding[kind]})
    features: dict[str, Feature] = {"any": Direction(name="any", site=SITE, vector=tuple(vector))}
    sample = single_sample(reader, bench.corpus)
    found = measure_chance(reader, sample, bench.corpus, {"any": "number"}, features, {})["any"]
    assert not isinstance(found, str)
    # Clustered by document the AUROC is sharp, and yet says nothing: directions differ by far more.
    assert found.sd > 5 * found.se
    assert judge({"any": found}).passed is False


def test_what_cannot_be_told_is_not_failed(bench: Bench, planted: Planted) -> None:
    planted.concepts = {"reads": "colour"}
    outcome = judge(planted.chance(bench.corpus))
    assert outcome.passed is None
    assert "no labels for concept 'colour'" in outcome.features["reads"].detail
    few = CorpusLabels(np.arange(80), {"number": [[(4, 8)] if i < 4 else [] for i in range(80)]})
    planted.concepts = {"reads": "number"}
    assert "Only 4 documents" in judge(planted.chance(few)).features["reads"].detail
    bare = bench.snapshot("b", {}, {"reads": planted.x[:, 0]}, {"elsewhere": planted.x})
    sample = single_sample(bare, bench.corpus)
    found = measure_chance(
        bare, sample, bench.corpus, planted.concepts, planted.features, {"sae": SITE}
    )
    assert found == {"reads": f"No raw activations of site '{SITE}' are stored."}
    with pytest.raises(ValueError, match="99 random directions"):
        planted.chance(bench.corpus, directions=99)
