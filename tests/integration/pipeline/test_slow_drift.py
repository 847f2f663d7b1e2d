"""Many small steps in one direction are found, though no single comparison is beyond its margin."""

from math import log
from pathlib import Path
from typing import Any

import pytest
import torch

from app.monitors.policy import Margins
from tests.support.deployment import World
from tests.support.models import random_model, train_tokenizer

STEPS = 10
FACTOR = 1.24
"""Of all steps together: just within the margin of 1.25."""
SITE = "blocks.1.hook_mlp_out"


def save_step(folder: Path, step: int) -> Path:
    """The base with the last matrix before the site scaled up by so many steps of a tenth."""
    model = random_model("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight *= FACTOR ** (step / STEPS)
    model.save_pretrained(folder)
    train_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def line(world: World) -> list[dict[str, Any]]:
    """What each of ten steps was judged as, oldest first."""
    model, corpus = world.model(), world.corpus()
    neurons = [
        {"kind": "neuron", "name": f"neuron-{i}", "site": SITE, "index": i} for i in range(4)
    ]
    monitor = world.monitor(model, corpus, feature_set=world.feature_set(neurons))
    base = world.checkpoint(model, save_step(world.models / "step-0", 0))
    previous, found = base, []
    for step in range(1, STEPS + 1):
        candidate = world.checkpoint(model, save_step(world.models / f"step-{step}", step))
        evaluation = world.wait(world.evaluate(monitor, candidate, base, previous))
        assert evaluation.state == "succeeded", evaluation.error
        found.append(
            {side: world.verdicts(evaluation.id, side) for side in ("baseline", "previous")}
        )
        previous = candidate
    return found


def test_no_single_comparison_finds_what_ten_steps_add_up_to(line: list[dict[str, Any]]) -> None:
    assert log(FACTOR) < Margins().scale
    for step, sides in enumerate(line, start=1):
        for row in sides["baseline"].values():
            assert row.verdict != "drifted", (step, row.reason)
            assert row.estimates["scale"]["effect"] == pytest.approx(
                step * log(FACTOR) / STEPS, rel=1e-3
            )
        for row in sides["previous"].values():
            assert row.estimates["scale"]["effect"] == pytest.approx(log(FACTOR) / STEPS, rel=1e-3)


def test_the_slow_drift_is_raised_before_the_margin_is_reached(line: list[dict[str, Any]]) -> None:
    raised = [{name for name, row in sides["baseline"].items() if row.slow_drift} for sides in line]
    assert raised[0] == set()
    assert raised[-1] == {f"neuron-{i}" for i in range(4)}
    last = line[-1]["baseline"]["neuron-0"]
    assert last.trend["checkpoints"] == STEPS
    assert abs(last.trend["level"]) > last.trend["limit"]
    assert not any(row.slow_drift for row in line[-1]["previous"].values())
