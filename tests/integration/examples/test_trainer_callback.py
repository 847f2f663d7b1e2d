"""The Trainer example: a real tiny training run, whose checkpoints a real API takes in."""

import importlib.util
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.core.database import Database
from app.settings import Settings
from tests.support.api import finish, verdict

ROOT = Path(__file__).parents[3]
STEPS = 3


@pytest.fixture(scope="module")
def example() -> Any:
    """The module as a user's script imports it."""
    path = ROOT / "deploy" / "examples" / "trainer_callback.py"
    spec = importlib.util.spec_from_file_location("trainer_callback", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train(output: Path, callback: Any) -> int:
    """Train a tiny model, saving at each step; the steps that it took."""
    from transformers import Trainer, TrainingArguments

    from tests.support.models import TEXTS, random_model, train_tokenizer

    tokenizer = train_tokenizer()
    rows = []
    for text in TEXTS[:8]:
        ids = tokenizer(text, truncation=True, max_length=8, padding="max_length")["input_ids"]
        rows.append({"input_ids": ids, "labels": ids})
    trainer = Trainer(
        random_model("llama"),
        TrainingArguments(
            output_dir=str(output),
            per_device_train_batch_size=2,
            max_steps=STEPS,
            save_strategy="steps",
            save_steps=1,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            save_only_model=True,
        ),
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=[callback],
    )
    trainer.train()
    return int(trainer.state.global_step)


@contextmanager
def judging(client: TestClient, database: Database, words: dict[str, str]) -> Iterator[None]:
    """Workers that give each checkpoint's evaluation a verdict as soon as it is there."""
    done = threading.Event()
    failures: list[Exception] = []

    def work() -> None:
        judged: set[str] = set()
        while not done.is_set():
            time.sleep(0.05)
            try:
                found = client.get("/v1/evaluations?model=bot").json()["items"]
                for one in found:
                    if one["id"] in judged or one["checkpoint"] not in words:
                        continue
                    judged.add(one["id"])
                    word = words[one["checkpoint"]]
                    rows = [verdict("number", word), verdict("up", "stable")]
                    with database.unit_of_work() as session:
                        finish(session, one["id"], rows)
            except Exception as error:  # noqa: BLE001 - shown by the test
                failures.append(error)
                return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(30)
    assert not failures


def checkpoints(client: TestClient) -> list[dict[str, Any]]:
    found = client.get("/v1/models/bot/checkpoints").json()["items"]
    return [one for one in reversed(found) if one["name"] != "base"]


def test_every_saved_checkpoint_is_registered_with_the_one_before_it_as_its_parent(
    example: Any, api_url: str, client: TestClient, settings: Settings
) -> None:
    output = settings.allowed_roots[0] / "run"
    steps = train(output, example.FeaturedriftCallback("bot", url=api_url, run="r1"))

    found = checkpoints(client)
    assert steps == STEPS
    assert [one["name"] for one in found] == [f"r1-step-{n}" for n in range(1, STEPS + 1)]
    assert [one["parent"] for one in found] == [None, "r1-step-1", "r1-step-2"]
    assert found[0]["source"] == str(output / "checkpoint-1")
    assert all(len(one["evaluations"]) == 1 for one in found)


def test_training_stops_at_the_checkpoint_whose_gate_fails(
    example: Any, api_url: str, client: TestClient, settings: Settings, database: Database
) -> None:
    callback = example.FeaturedriftCallback("bot", url=api_url, stop_on="fail", wait=60)
    words = {"step-1": "stable", "step-2": "drifted", "step-3": "stable"}
    with judging(client, database, words):
        steps = train(settings.allowed_roots[0] / "run", callback)

    assert steps == 2
    gates = {name: gate["gate"] for name, gate in callback.gates.items()}
    assert gates == {"step-1": "pass", "step-2": "fail"}
    assert callback.gates["step-2"]["reasons"][0]["features"] == ["number"]


@pytest.mark.parametrize("trouble", ["no API", "a refused source"])
def test_what_goes_wrong_beside_the_training_never_ends_it(
    example: Any,
    api_url: str,
    client: TestClient,
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    url = "http://127.0.0.1:1" if trouble == "no API" else api_url
    callback = example.FeaturedriftCallback("bot", url=url, stop_on="fail")
    with caplog.at_level(logging.WARNING, "featuredrift"):
        assert train(tmp_path / "elsewhere", callback) == STEPS
    warnings = [r for r in caplog.records if r.name == "featuredrift"]
    assert len(warnings) == STEPS
    assert "did not judge step-1" in warnings[0].getMessage()
    assert checkpoints(client) == []


def test_a_gate_that_is_not_decided_in_time_stops_nothing(
    example: Any, api_url: str, client: TestClient, settings: Settings
) -> None:
    callback = example.FeaturedriftCallback("bot", url=api_url, stop_on="fail", wait=0)
    assert train(settings.allowed_roots[0] / "run", callback) == STEPS
    assert {gate["gate"] for gate in callback.gates.values()} == {"pending"}


def test_a_misspelt_stop_is_refused(example: Any) -> None:
    with pytest.raises(ValueError, match="stop_on is 'failed'"):
        example.FeaturedriftCallback("bot", stop_on="failed")


def test_all_processes_of_a_distributed_run_stop_together(tmp_path: Path) -> None:
    """Two real processes; only the first has asked the gate."""
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from torch import distributed
from trainer_callback import _agreed
rank = int(sys.argv[3])
distributed.init_process_group("gloo", f"file://{sys.argv[2]}", rank=rank, world_size=2)
print(_agreed(rank == 0), _agreed(False))
distributed.destroy_process_group()
"""
    examples = str(ROOT / "deploy" / "examples")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, examples, str(tmp_path / "meet"), str(rank)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=200)[0].split() for process in processes]
    assert said == [["True", "False"], ["True", "False"]]
