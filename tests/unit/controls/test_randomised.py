"""What survives fresh weights is caught; what reads tokens is told apart from what is computed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.registry.definitions import Direction, Feature
from tests.unit.controls.conftest import SITE, TOKENS, Bench
from workers.comparison import compare_snapshots
from workers.comparison.sites import single_sample
from workers.controls.outcome import ControlOutcome
from workers.controls.randomised import judge, token_level
from workers.controls.readouts import Chance, measure_chance
from workers.drift.policy import Policy
from workers.drift.verdicts import VerdictTable

Values = NDArray[np.float64]
LATENTS = ("computed", "token-lookup", "always-on", "louder", "rare")
PROBES = ("probe", "constant", "survivor", "low")
CONCEPTS = dict.fromkeys(("computed", "token-lookup", "probe", "survivor"), "number")


def latents(bench: Bench, **given: Values) -> dict[str, Values]:
    """A latent of each kind as fresh weights leave it; `given` ones as they are."""
    rng = bench.rng
    rare = np.zeros(TOKENS)
    rare[rng.choice(TOKENS, 15, replace=False)] = 1
    found = {
        "computed": np.where(rng.random(TOKENS) < 0.2, rng.random(TOKENS), 0),
        "token-lookup": np.where(rng.random(TOKENS) < 0.2, rng.random(TOKENS), 0),
        "always-on": np.full(TOKENS, 1.5),
        # On everywhere, but with another value on every model.
        "louder": np.full(TOKENS, 1 + 9 * rng.random()) + 0.01 * rng.random(TOKENS),
        "rare": rare,
    }
    return {name: given.get(name, found[name]) for name in LATENTS}


def probes(bench: Bench, **given: Values) -> dict[str, Values]:
    found = {
        "probe": bench.rng.normal(size=TOKENS),
        "constant": np.full(TOKENS, 0.3),
        # Scaled by fresh weights, and yet as good at its concept.
        "survivor": 7 * (2 * bench.number + bench.rng.normal(size=TOKENS)),
        "low": bench.rng.normal(size=TOKENS),
    }
    return {name: given.get(name, found[name]) for name in PROBES}


@pytest.fixture
def tables(bench: Bench) -> Mapping[str, VerdictTable]:
    """A baseline against its cascade of randomised models."""
    rng, number = bench.rng, bench.number
    fires = np.where(number, 1 + rng.random(TOKENS), 0)
    lookup = np.where(number, 1 + rng.random(TOKENS), 0)
    probe = 2 * number + rng.normal(size=TOKENS)
    survivor, low = 2 * number + rng.normal(size=TOKENS), rng.normal(size=TOKENS)
    readers = {
        "baseline": bench.snapshot(
            "baseline",
            latents(bench, computed=fires, **{"token-lookup": lookup}),
            probes(bench, probe=probe, survivor=survivor, low=low),
        ),
        "top": bench.snapshot("top", latents(bench), probes(bench, low=low)),
        "blocks": bench.snapshot(
            "blocks",
            latents(bench, **{"token-lookup": lookup * (1 + 0.02 * rng.random(TOKENS))}),
            # Another read-out of its tokens, which has lost less than half of what it had.
            probes(bench, probe=probe + 0.8 * rng.normal(size=TOKENS)),
        ),
        "all": bench.snapshot("all", latents(bench), probes(bench)),
    }
    return {
        scope: compare_snapshots(
            readers["baseline"], reader, bench.corpus, Policy(), concepts=CONCEPTS
        ).verdicts
        for scope, reader in readers.items()
        if scope != "baseline"
    }


def chance_around_half(auroc: float, sd: float = 0.02) -> Chance:
    random = 0.5 + sd * np.random.default_rng(0).normal(size=200)
    return Chance(auroc, 0.01, random, 80, TOKENS, 900)


def test_what_fresh_weights_cannot_move_is_caught(tables: Mapping[str, VerdictTable]) -> None:
    outcome = judge(tables)
    assert {name: found.passed for name, found in outcome.features.items()} == {
        "computed": True,
        "token-lookup": True,
        "always-on": False,
        # Found drifted by its magnitude, but it fires on the same tokens whatever the weights.
        "louder": False,
        "rare": None,
        "probe": True,
        "constant": False,
        "survivor": True,
        "low": True,
    }
    assert outcome.passed is False
    assert "cannot fail" in outcome.features["always-on"].detail
    assert "hardly more than one value" in outcome.features["constant"].detail
    louder = outcome.features["louder"]
    assert louder.figures["scopes"]["all"]["verdict"] == "drifted"
    assert "identity holds" in louder.detail
    assert ControlOutcome.from_json(outcome.to_json()).to_json() == outcome.to_json()


def test_a_concept_still_read_with_everything_randomised_is_caught(
    tables: Mapping[str, VerdictTable],
) -> None:
    read, lost = chance_around_half(0.92), chance_around_half(0.53)
    outcome = judge(tables, {"survivor": read, "probe": lost, "computed": "Too few documents."})
    assert outcome.features["survivor"].passed is False
    assert "still reads its concept, AUROC 0.920" in outcome.features["survivor"].detail
    assert outcome.features["probe"].passed is True
    assert outcome.features["computed"].passed is True
    assert outcome.features["computed"].figures["concept"] == {"unknown": "Too few documents."}
    assert "cannot be told: Too few documents." in outcome.features["computed"].detail


def test_chance_is_what_random_read_outs_give_not_a_half(
    tables: Mapping[str, VerdictTable],
) -> None:
    # The same AUROC, sharp to a hundredth, among read-outs of few distinct tokens.
    wide = judge(tables, {"survivor": chance_around_half(0.8, sd=0.2)})
    assert wide.features["survivor"].passed is True
    assert wide.features["survivor"].figures["concept"]["can_fail"] is False
    assert "range so widely" in wide.features["survivor"].detail
    narrow = judge(tables, {"survivor": chance_around_half(0.8)})
    assert narrow.features["survivor"].passed is False
    # Away from chance, but with little left of what the baseline had.
    assert judge(tables, {"survivor": chance_around_half(0.6)}).features["survivor"].passed is True


def test_features_that_survive_on_embeddings_are_token_level(
    tables: Mapping[str, VerdictTable],
) -> None:
    outcome = judge(tables)
    levels = token_level(outcome)
    assert levels["token-lookup"] is True
    assert levels["probe"] is True
    assert tables["blocks"].by_name("probe").verdict == "drifted"
    assert levels["computed"] is levels["low"] is False
    assert levels["rare"] is None
    assert "it reads tokens" in outcome.features["token-lookup"].detail
    assert outcome.features["token-lookup"].passed is True
    assert set(token_level(judge({"all": tables["all"]})).values()) == {None}


def test_a_feature_below_the_randomised_blocks_is_said_to_be_unaffected(
    tables: Mapping[str, VerdictTable],
) -> None:
    low = judge(tables).features["low"]
    assert low.passed is True
    assert "below the upper half of the blocks" in low.detail
    assert low.figures["scopes"]["top"]["unaffected"] is True
    assert judge(tables).features["probe"].figures["scopes"]["top"]["unaffected"] is False


def test_without_a_model_with_everything_randomised_nothing_is_told(
    tables: Mapping[str, VerdictTable],
) -> None:
    outcome = judge({"top": tables["top"]})
    assert (outcome.passed, outcome.features) == (None, {})


def test_incomparable_snapshots_tell_nothing(bench: Bench) -> None:
    a = bench.snapshot("a", {}, {"probe": bench.rng.normal(size=TOKENS)})
    b = bench.snapshot("b", {}, {"other": bench.rng.normal(size=TOKENS)})
    outcome = judge({"all": compare_snapshots(a, b, bench.corpus, Policy()).verdicts})
    assert outcome.passed is None
    assert "features differ" in outcome.features["probe"].detail


@pytest.mark.parametrize("distinct", [6, TOKENS])
def test_frozen_random_read_outs_of_a_random_model_are_rarely_caught(
    bench: Bench, distinct: int
) -> None:
    rng, width, features = bench.rng, 32, 60
    kind = rng.integers(0, distinct, TOKENS)
    bench.number = (kind < distinct // 3) & (bench.flags == 0)
    baseline, fresh = (rng.normal(size=(distinct, width))[kind] for _ in range(2))
    axis = bench.number.astype(float)
    baseline[:, 0] += 4 * axis
    vectors = rng.normal(size=(features, width)) + 8 * np.eye(width)[0]
    definitions: dict[str, Feature] = {
        f"f{i}": Direction(name=f"f{i}", site=SITE, vector=tuple(v)) for i, v in enumerate(vectors)
    }
    concepts = dict.fromkeys(definitions, "number")

    def values(x: Any) -> dict[str, Values]:
        return {f"f{i}": x @ v / np.linalg.norm(v) for i, v in enumerate(vectors)}

    a = bench.snapshot("a", {}, values(baseline), {SITE: baseline})
    b = bench.snapshot("b", {}, values(fresh), {SITE: fresh})
    sample = single_sample(b, bench.corpus)
    chance = measure_chance(b, sample, bench.corpus, concepts, definitions, {})
    table = compare_snapshots(a, b, bench.corpus, Policy(), concepts=concepts).verdicts
    outcome = judge({"all": table}, chance)
    assert sum(found.passed is False for found in outcome.features.values()) == 0
