"""Variants of documents in whole comparisons."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.comparison.bench import DOCUMENTS, LATENTS, LENGTH, Bench
from workers.comparison import ComparisonResult, CorpusLabels, compare_snapshots
from workers.drift.pages import PageRequest
from workers.drift.policy import Policy

HALF = DOCUMENTS // 2
PAIRS = [(i, i + HALF, "case" if i % 2 else "typos") for i in range(HALF)]


def corpus(bench: Bench, variants: list[tuple[int, int, str]]) -> CorpusLabels:
    """The second half of the documents are variants of the first, and belong to their groups."""
    return replace(bench.corpus, groups=np.arange(DOCUMENTS) % HALF, variants=variants)


def rows(document: int) -> slice:
    return slice(document * LENGTH, (document + 1) * LENGTH)


@pytest.fixture
def paraphrased(bench: Bench) -> Bench:
    """Documents differ in how often latents fire, and their variants are like them."""
    rng = np.random.default_rng(4)
    level = rng.random((HALF, LATENTS))
    for original, variant, _ in PAIRS:
        for document in (original, variant):
            on = rng.random((LENGTH, LATENTS)) < level[original]
            bench.latents[rows(document)] = np.where(on, 1 + rng.random(on.shape), 0)
    return bench


def compare(
    bench: Bench, variants: list[tuple[int, int, str]], policy: Policy, **candidate: np.ndarray
) -> ComparisonResult:
    return compare_snapshots(
        bench.snapshot("a"),
        bench.snapshot("b", **candidate),
        corpus(bench, variants),
        policy,
        pages=PageRequest(None, 0.05, 200),
    )


def confused(bench: Bench) -> np.ndarray:
    """Latent 0 takes the values of another document at each variant, in about equal number."""
    latents = bench.latents.copy()
    for i, (_, variant, _) in enumerate(PAIRS):
        latents[rows(variant), 0] = bench.latents[rows(PAIRS[(i + 7) % HALF][1]), 0]
    return latents


def test_a_feature_that_no_longer_survives_paraphrase_has_drifted(paraphrased: Bench) -> None:
    policy = Policy(min_active_documents=20)
    result = compare(paraphrased, PAIRS, policy, latents=confused(paraphrased))
    row = result.verdicts.by_name("latent-0")
    effect = row.estimates["robustness"]
    assert row.verdict == "drifted"
    assert "identity" in row.changes
    assert effect.effect > effect.lower > policy.robustness
    assert result.robustness is not None
    figures = result.robustness["latent-0"]
    assert set(figures) == {"all", "case", "typos"}
    assert figures["all"]["pairs"] == HALF == figures["case"]["pairs"] + figures["typos"]["pairs"]
    assert figures["all"]["baseline"] > 0.8
    assert figures["all"]["candidate"] < 0.4
    assert figures["all"]["baseline"] - figures["all"]["candidate"] == pytest.approx(effect.effect)
    assert json.loads(json.dumps(dict(result.robustness))) == dict(result.robustness)
    assert result.pages is not None
    assert result.pages.of("latent-0")["intervals"]["robustness"][0] > policy.robustness
    other = result.verdicts.by_name("latent-1")
    assert (other.verdict, other.estimates["robustness"].effect) == ("stable", 0)


def test_agreement_is_of_mean_activations_over_tokens_that_count(paraphrased: Bench) -> None:
    result = compare(paraphrased, PAIRS, Policy(min_active_documents=20))
    for name, values in (
        ("latent-1", paraphrased.latents[:, 1]),
        ("probe-2", paraphrased.probes[:, 2]),
    ):
        means = values.astype(np.float32).reshape(DOCUMENTS, LENGTH).mean(1)
        x, y = means[:HALF], means[HALF:]
        expected = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert result.robustness is not None
        assert result.robustness[name]["all"]["baseline"] == pytest.approx(expected, abs=1e-5)


def test_variants_of_few_documents_are_told_and_keep_nothing_from_stable(
    paraphrased: Bench,
) -> None:
    result = compare(paraphrased, PAIRS[:5], Policy(min_active_documents=20))
    assert result.robustness is not None
    assert result.robustness["latent-2"]["all"]["pairs"] == 5
    row = result.verdicts.by_name("latent-2")
    assert "robustness" not in row.estimates
    assert row.verdict == "stable"


def test_without_variants_there_is_no_robustness(bench: Bench) -> None:
    result = compare(bench, [], Policy(min_active_documents=20))
    assert result.robustness is None
    assert "robustness" not in result.verdicts.inference


def test_a_feature_that_never_fires_in_them_has_no_agreement(paraphrased: Bench) -> None:
    paraphrased.latents[:, 3] = 0
    result = compare(paraphrased, PAIRS, Policy(min_active_documents=20))
    assert result.robustness is not None
    figures = result.robustness["latent-3"]["all"]
    assert (figures["baseline"], figures["active_documents"]) == (None, 0)


def test_a_variant_of_no_document_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match=r"documents 0 to 79"):
        compare(bench, [(0, 80, "case")], Policy(min_active_documents=20))
