"""A small form of the calibration: known truths, and the service's verdicts on them."""

from dataclasses import replace

import numpy as np
import pytest

from app.monitors.page_budget import share
from app.monitors.policy import PagePolicy
from benchmarks.calibration import controls, coverage, diagnosis, nulls, pages, peers, power
from benchmarks.calibration.peer_verdicts import kolmogorov_smirnov, paired_t
from benchmarks.calibration.size import SMALL
from benchmarks.calibration.synthetic import FAMILIES, Truth, document_lengths
from benchmarks.calibration.table import at_least, at_most, clopper_pearson, markdown, percent
from benchmarks.calibration.verdicts import seeds
from workers.drift.estimands import sparse_estimates


@pytest.mark.parametrize("family", [*FAMILIES, nulls.DENSE])
def test_nothing_at_its_margin_is_called_drifted_or_stable(family: str) -> None:
    """At most one false verdict in six sets; at q = 5% two or more have a chance of 3%."""
    streams = seeds(0, f"test {family}", 6)
    counts = [nulls.one_set((family, "at the margin", s), SMALL.features) for s in streams]
    assert sum(c.false_drifted > 0 for c in counts) <= 1
    assert sum(c.false_stable > 0 for c in counts) <= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_drawn_has_the_truth_that_it_claims(family: str) -> None:
    rng = np.random.default_rng(3)
    lost, gained = np.array([0.2, 0.05, 0.0]), np.array([0.0, 0.1, 0.15])
    truth = Truth(np.full(3, 0.1), lost, gained, np.array([-0.3, 0.0, 0.3]))
    tokens = document_lengths(rng, 4000)
    sums = FAMILIES[family](rng, tokens, truth)
    found = sparse_estimates(sums)
    firing = (sums.both + sums.only_a).sum(0) / tokens.sum()
    np.testing.assert_allclose(firing, truth.firing, rtol=0.1)
    for name, value in truth.effects.items():
        np.testing.assert_allclose(found[name].effect, value, atol=0.03, err_msg=name)


@pytest.mark.parametrize(
    ("kind", "firing"),
    [("independent tokens", 0.05), ("dense", None), ("variants, skewed", None)],
)
def test_intervals_cover_the_truth(kind: str, firing: float | None) -> None:
    task = coverage.Task(kind, firing, 200, 600, np.random.SeedSequence(5))
    for cell in coverage.one_comparison(task):
        low, high = clopper_pearson(cell.covered, cell.told, 0.999)
        assert high >= 0.93, cell
        assert low <= 0.97, cell


def test_power_is_that_of_a_test_that_can_see() -> None:
    cells = [power.Cell("lost", 0.1, 200, level) for level in (0.0, 3.0)]
    none, all_ = (power.one_set((cell, np.random.SeedSequence(1)))[0] for cell in cells)
    assert none == 0
    assert all_ == 20


def test_dead_and_shuffled_latents_are_found_where_peers_see_nothing() -> None:
    rng = np.random.default_rng(0)
    tokens = document_lengths(rng, 120)
    corpus = peers.Corpus(np.repeat(np.arange(120), tokens), 120)
    cases = [c for c in peers.CASES if c.sparse]
    a, b = (
        np.stack(side, axis=1).astype(np.float32)
        for side in zip(*(c.draw(rng, corpus) for c in cases for _ in range(2)), strict=True)
    )
    table = peers.verdicts(corpus, a, b, a.shape[1])
    drifted = dict(
        zip([c.name for c in cases], (table == "drifted").reshape(-1, 2).all(1), strict=True)
    )
    assert drifted == {c.name: c.drifted for c in cases}
    shuffled = next(i for i, c in enumerate(cases) if "shuffled" in c.name) * 2
    for peer in (kolmogorov_smirnov, paired_t):
        _, flags = peer(a, b)
        assert not flags[shuffled : shuffled + 2].any()


def test_pages_stay_within_their_budget() -> None:
    budget = PagePolicy()
    assert sum(share(k, budget) for k in range(1, 2000)) <= budget.alpha
    streams = seeds(0, "test pages", 8)
    # At the level of 5%, three false pages in eight comparisons have a chance of .6%.
    assert sum(pages.single(s, "low-rank correlation", 60) > 0 for s in streams) <= 2


@pytest.mark.parametrize("name", ["rotated", "latents permuted"])
def test_planted_causes_are_named(name: str) -> None:
    plant = next(p for p in diagnosis.PLANTS if p.name == name)
    found = diagnosis.one_world((name, np.random.SeedSequence(2)))
    assert len(found.labels) >= 20
    named = [label == plant.label for f, label in found.labels.items() if f in found.confirmed]
    assert len(named) >= 20
    assert np.mean(named) >= 0.9


@pytest.mark.parametrize("name", ["no-op, one bit of one value", "noise floor, changes beyond it"])
def test_controls_find_what_they_are_there_for(name: str) -> None:
    tally = controls.one_world((name, np.random.SeedSequence(0)))
    assert tally.caught >= 0.9 * tally.planted
    assert tally.accused <= 0.1 * tally.honest


def test_a_table_says_what_chance_does_not_explain() -> None:
    assert at_most("x", 0.05, 0, 20, "sets").outcome == "pass"
    assert at_most("x", 0.05, 8, 20, "sets").outcome == "FAIL"
    assert at_least("x", 0.95, 19, 20, "sets").outcome == "pass"
    assert at_least("x", 0.95, 10, 20, "sets").outcome == "FAIL"
    assert percent(0.0003) == "0.03%"
    table = nulls.run(replace(SMALL, sets=2, features=20), 0)
    assert markdown(table).count("\n| ") == len(table.rows) + 1
    with pytest.raises(ValueError, match="0 trials"):
        clopper_pearson(0, 0)
