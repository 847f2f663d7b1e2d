"""Passages show the places where a feature changed most, with both sides' activations."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.comparison.bench import DOCUMENTS, LENGTH, Bench
from workers.comparison import compare_snapshots
from workers.drift.policy import Policy

PLACE = (7, 5)
"""A document and a token in it, where the candidate fires as nowhere else."""


def fired(bench: Bench, extra: float = 50.0) -> np.ndarray:
    latents = bench.latents.copy()
    latents[PLACE[0] * LENGTH + PLACE[1], 0] += extra
    return latents


def test_the_place_that_changed_most_stands_first(bench: Bench) -> None:
    a, b = bench.snapshot("a"), bench.snapshot("b", latents=fired(bench))
    result = compare_snapshots(a, b, bench.corpus, Policy(), shown=3)
    assert len(result.passages) == 3
    one, *others = compare_snapshots(
        a, b, bench.corpus, Policy(), shown=1, watchlist=["latent-0"]
    ).passages["latent-0"]
    assert (one["kind"], one["document"]) == ("changed", PLACE[0])
    start, end, before, after = one["units"][one["peak"]]
    row = PLACE[0] * LENGTH + PLACE[1]
    assert (start, end) == (bench.start[row], bench.end[row])
    assert after - before == pytest.approx(50.0, rel=1e-3)
    # Nothing else has changed.
    assert {p["kind"] for p in others} == {"strongest"}
    for passage in others:
        first = passage["document"] * LENGTH
        values = bench.latents[first : first + LENGTH, 0]
        assert passage["units"][passage["peak"]][2] == pytest.approx(values.max(), rel=1e-3)


def test_windows_stay_within_their_document_and_hold_what_the_snapshots_hold(bench: Bench) -> None:
    rng = np.random.default_rng(0)
    probes = bench.probes + rng.normal(size=bench.probes.shape).astype(np.float32)
    a, b = bench.snapshot("a"), bench.snapshot("b", probes=probes)
    found = compare_snapshots(a, b, bench.corpus, Policy(), shown=100).passages
    for number in range(bench.probes.shape[1]):
        passages = found[f"probe-{number}"]
        changed = [p["document"] for p in passages if p["kind"] == "changed"]
        assert len(changed) == len(set(changed)) == 4
        for p in passages:
            rows = np.flatnonzero(bench.document == p["document"])
            rows = rows[np.isin(bench.start[rows], [u[0] for u in p["units"]])]
            units = np.array(p["units"])
            np.testing.assert_allclose(units[:, 2], bench.probes[rows, number], rtol=1e-3)
            np.testing.assert_allclose(units[:, 3], probes[rows, number], rtol=1e-3)


def test_one_passage_of_a_unit_of_inference_and_none_of_variants(bench: Bench) -> None:
    groups = bench.corpus.groups.copy()
    groups[:] = np.arange(DOCUMENTS) // 2
    variants = [(PLACE[0] - 1, PLACE[0], "typos")]
    corpus = replace(bench.corpus, groups=groups, variants=variants)
    a, b = bench.snapshot("a"), bench.snapshot("b", latents=fired(bench))
    passages = compare_snapshots(a, b, corpus, Policy(), shown=100).passages["latent-0"]
    assert PLACE[0] not in {p["document"] for p in passages}
    for kind in ("changed", "strongest"):
        units = [groups[p["document"]] for p in passages if p["kind"] == kind]
        assert len(units) == len(set(units))


def test_equal_sides_show_no_change(bench: Bench) -> None:
    a, b = bench.snapshot("a"), bench.snapshot("b")
    found = compare_snapshots(a, b, bench.corpus, Policy(), shown=100).passages
    assert {p["kind"] for passages in found.values() for p in passages} <= {"strongest"}
    assert compare_snapshots(a, b, bench.corpus, Policy()).passages == {}
