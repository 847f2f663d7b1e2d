"""The no-op control: the same weights, loaded again and captured again, must give the same bits."""

from workers.capture.batches import BatchPlan

TOKENS = 16_384
"""About as many tokens as the control captures."""


def control_batches(plan: BatchPlan, tokens: int = TOKENS) -> tuple[int, int]:
    """The last batches of a plan that hold at most so many tokens, but at least one batch.

    The last ones hold the longest sequences, where a difference has most room to build up. Whole
    batches, because another composition of a batch may give other last bits.

    Returns:
        First batch, and one past the last.
    """
    first, held = plan.batches - 1, int(plan.tokens[-1])
    while first > 0 and held + int(plan.tokens[first - 1]) <= tokens:
        first -= 1
        held += int(plan.tokens[first])
    return first, plan.batches
