"""The label rule, against looking at every character."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workers.comparison.corpus import overlaps
from workers.comparison.stream import token_bounds

span = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda s: (min(s), max(s)))


@given(
    spans=st.lists(st.lists(span, max_size=5), min_size=3, max_size=3),
    tokens=st.lists(st.tuples(st.integers(0, 2), span), max_size=20),
)
def test_a_token_is_positive_when_it_shares_a_character_with_a_span(
    spans: list[list[tuple[int, int]]], tokens: list[tuple[int, tuple[int, int]]]
) -> None:
    document = np.array([d for d, _ in tokens], np.int32)
    start, end = (np.array([s[i] for _, s in tokens], np.int32) for i in (0, 1))
    marked = [{c for lo, hi in ranges for c in range(lo, hi)} for ranges in spans]
    expected = [bool(marked[d] & set(range(lo, hi))) for d, (lo, hi) in tokens]
    assert overlaps(spans, document, start, end).tolist() == expected


@given(
    cluster=st.lists(st.integers(-1, 4), max_size=60).map(sorted),
    most=st.integers(0, 3),
)
def test_pieces_cover_all_tokens_and_touch_few_clusters(cluster: list[int], most: int) -> None:
    values = np.array(cluster, np.int64)
    bounds = token_bounds(values, most)
    assert bounds[0] == 0
    assert bounds[-1] == len(values)
    for lo, hi in pairwise(bounds):
        assert lo < hi
        assert len(np.unique(values[lo:hi])) <= max(most, 1)
