"""The batch plan covers the corpus once, within its budget, whatever the lengths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.depth import DEPTH
from workers.capture.batches import partition, plan_batches

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=80)
some = settings(max_examples=30 * DEPTH)


@some
@given(LENGTHS, st.integers(1, 200))
def test_every_sequence_stands_in_one_batch_within_the_budget(
    lengths: list[int], budget: int
) -> None:
    plan = plan_batches(lengths, budget)
    assert sorted(plan.order.tolist()) == list(range(len(lengths)))
    for batch in range(plan.batches):
        rows = [lengths[s] for s in plan.sequences(batch)]
        assert len(rows) == 1 or len(rows) * max(rows) <= budget
        assert plan.tokens[batch] == sum(rows)
    keys = [(lengths[s], s) for s in plan.order]
    assert keys == sorted(keys)
    assert plan_batches(np.array(lengths), budget).digest == plan.digest


@some
@given(LENGTHS, st.integers(1, 200), st.integers(1, 500))
def test_shards_are_whole_batches_in_order(lengths: list[int], budget: int, per_shard: int) -> None:
    plan = plan_batches(lengths, budget)
    shards = partition(plan, per_shard)
    assert [batch for first, stop in shards for batch in range(first, stop)] == list(
        range(plan.batches)
    )
    for first, stop in shards:
        assert stop - first == 1 or plan.tokens[first:stop].sum() <= per_shard


def test_the_digest_tells_plans_apart() -> None:
    assert plan_batches([3, 4, 5], 8).digest != plan_batches([3, 4, 5], 100).digest


@pytest.mark.parametrize(("lengths", "budget"), [([], 8), ([0, 3], 8), ([3], 0)])
def test_nothing_to_plan_is_refused(lengths: list[int], budget: int) -> None:
    with pytest.raises(ValueError, match="nothing to plan"):
        plan_batches(lengths, budget)
