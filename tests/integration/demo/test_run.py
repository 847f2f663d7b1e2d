"""The demo drives a real deployment; at toy size its features mean nothing, but all of it runs."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from app.embedded.stack import EmbeddedStack
from tests.support.demo import TOY
from workers.demo.client import Client, RefusedError
from workers.demo.line import LINE
from workers.demo.run import run_demo


@pytest.fixture(scope="module")
def stack(servers_dir: Path) -> Iterator[EmbeddedStack]:
    with EmbeddedStack(data_dir=servers_dir / "demo", port=0) as stack:
        yield stack


def demo(stack: EmbeddedStack) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=200)
    code = run_demo(stack.base_url, stack.settings.allowed_roots[0] / "demo", console, TOY)
    assert isinstance(console.file, io.StringIO)
    return code, console.file.getvalue()


@pytest.fixture(scope="module")
def first(stack: EmbeddedStack) -> tuple[int, str]:
    return demo(stack)


def evaluations(stack: EmbeddedStack) -> list[dict]:
    return httpx.get(f"{stack.base_url}/v1/evaluations", params={"limit": 500}).json()["items"]


def test_every_checkpoint_is_evaluated_and_shown(
    stack: EmbeddedStack, first: tuple[int, str]
) -> None:
    found = evaluations(stack)
    assert [e["checkpoint"] for e in reversed(found)] == [c.name for c in LINE]
    assert {e["state"] for e in found} == {"succeeded"}, [e["error"] for e in found]
    for checkpoint in LINE:
        assert checkpoint.name in first[1]
    assert "What the features are worth" in first[1]


def test_a_mismatch_is_named_and_fails_the_demo(first: tuple[int, str]) -> None:
    code, text = first
    # Eight documents are too few to prove anything stable, so the copy cannot pass the gate.
    assert code == 1
    assert "copy: the gate should answer pass" in text
    assert text.count("MISMATCH") >= 1


def test_a_second_run_evaluates_nothing_anew_and_tells_its_own(
    stack: EmbeddedStack, first: tuple[int, str]
) -> None:
    with Client(stack.base_url) as client:
        _evaluate_by_a_monitor_of_ones_own(client, LINE[0].name)
    before = {e["id"] for e in evaluations(stack)}
    code, text = demo(stack)
    assert {e["id"] for e in evaluations(stack)} == before
    assert code == first[0]
    tables = "What the features are worth"
    assert text[text.index(tables) :] == first[1][first[1].index(tables) :]


def test_a_refused_call_says_what_the_api_said(stack: EmbeddedStack) -> None:
    with Client(stack.base_url) as client, pytest.raises(RefusedError, match=r"404.*nowhere"):
        client.get("/models/nowhere")


def _evaluate_by_a_monitor_of_ones_own(client: Client, checkpoint: str) -> None:
    (demo,) = client.get("/monitors")["items"]
    feature = {"name": "n", "kind": "neuron", "site": "blocks.0.mlp.hook_post", "index": 0}
    client.post("/feature-sets", {"name": "own", "features": [feature]})
    monitor = {name: demo[name] for name in ("model", "corpus", "baseline")}
    chosen = {"feature_set": {"name": "own", "version": 1}, "enabled": False}
    client.post("/monitors", {"name": "own", **monitor, **chosen})
    asked = {"monitor": "own", "checkpoint": checkpoint}
    evaluation = client.post("/evaluations", asked)["id"]
    while (found := client.wait_for_evaluation(evaluation))["state"] in {"queued", "running"}:
        pass
    assert found["state"] == "succeeded", found["error"]
