"""Which batches the no-op control repeats."""

from workers.capture.batches import plan_batches
from workers.controls.no_op import control_batches


def test_the_last_batches_that_fit_are_repeated_whole() -> None:
    plan = plan_batches([10] * 8, batch_tokens=20)
    assert plan.batches == 4
    assert control_batches(plan, tokens=45) == (2, 4)
    assert control_batches(plan, tokens=1000) == (0, 4)


def test_a_batch_over_the_limit_is_repeated_nevertheless() -> None:
    plan = plan_batches([10, 500], batch_tokens=20)
    assert control_batches(plan, tokens=45) == (1, 2)
