"""Sums per cluster: equal to plain loops, additive over tokens, blind to order."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from workers.drift.sums import PairedSums, dense_sums, sparse_sums

FEATURES = 4
THRESHOLDS = np.array([0.0, 0.0, 0.5, 1.0])


def draw(seed: int, tokens: int, clusters: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values with many exact zeros, and clusters of which −1 does not count."""
    rng = np.random.default_rng(seed)
    a, b = (np.maximum(rng.normal(size=(tokens, FEATURES)), 0) for _ in range(2))
    keep = rng.random((tokens, FEATURES)) < 0.5
    return a, np.where(keep, a, b), rng.integers(-1, clusters, tokens)


def by_loop(a: np.ndarray, b: np.ndarray, cluster: np.ndarray, clusters: int) -> PairedSums:
    total = PairedSums.zeros(clusters, FEATURES)
    for x, y, g in zip(a, b, cluster, strict=True):
        if g < 0:
            continue
        on_a, on_b = x > THRESHOLDS, y > THRESHOLDS
        both = on_a & on_b
        row = (1, both, on_a & ~on_b, on_b & ~on_a, x, y, x * x, y * y, x * y, x * both, y * both)
        for f, value in zip(fields(PairedSums), row, strict=True):
            getattr(total, f.name)[g] += value
    return total


def assert_equal(found: PairedSums, expected: PairedSums) -> None:
    for f in fields(PairedSums):
        np.testing.assert_allclose(
            getattr(found, f.name), getattr(expected, f.name), rtol=1e-12, err_msg=f.name
        )


def test_sparse_and_dense_sums_equal_a_plain_loop() -> None:
    a, b, cluster = draw(0, 60, 5)
    expected = by_loop(a, b, cluster, 5)
    assert_equal(sparse_sums(csr_array(a), csr_array(b), cluster, 5, THRESHOLDS), expected)
    assert_equal(dense_sums(a, b, cluster, 5, THRESHOLDS), expected)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), tokens=st.integers(0, 50), cut=st.integers(0, 50))
def test_sums_add_up_over_chunks(seed: int, tokens: int, cut: int) -> None:
    a, b, cluster = draw(seed, tokens, 3)
    for function, wrap in ((sparse_sums, csr_array), (dense_sums, np.asarray)):
        whole = function(wrap(a), wrap(b), cluster, 3, THRESHOLDS)
        first, second = (
            function(wrap(a[part]), wrap(b[part]), cluster[part], 3, THRESHOLDS)
            for part in (slice(cut), slice(cut, None))
        )
        assert_equal(first + second, whole)
        rows = PairedSums.zeros(3, FEATURES)
        rows.add_rows(np.arange(3), first)
        rows.add_rows(np.arange(3), second)
        assert_equal(rows, whole)


def test_a_negative_threshold_of_a_sparse_feature_is_refused_by_value() -> None:
    empty = csr_array((2, 1))
    with pytest.raises(ValueError, match=r"-0\.5 of a sparse feature is negative"):
        sparse_sums(empty, empty, np.zeros(2, int), 1, np.array([-0.5]))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        dense_sums(np.zeros((2, 1)), np.zeros((3, 1)), np.zeros(2, int), 1, np.zeros(1))
