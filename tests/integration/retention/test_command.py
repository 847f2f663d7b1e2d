"""`featuredrift retention`, killed where it hurts, and run on a timer."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.core.artifacts import ArtifactStore
from app.core.database import Database
from app.retention.timer import RetentionTimer
from app.settings import Settings
from tests.integration.retention.conftest import Line, key_of

POINTS = ("collector-marked", "collector-condemned", "collector-deleting", "collector-deleted")


@pytest.fixture
def evaluated(line: Line) -> Line:
    """Three evaluated checkpoints, of which the policy keeps one."""
    for name in ("c0", "c1", "c2"):
        line.evaluate(name)
    line.policy(keep_last=1)
    return line


def command(settings: Settings, faults: Path, *words: str) -> subprocess.CompletedProcess[str]:
    faults.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "retention", *words],
        env={
            **os.environ,
            "DATABASE_URL": settings.database_url,
            "FEATUREDRIFT_DATA_DIR": str(settings.data_dir),
            "FEATUREDRIFT_FAULTS": str(faults),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_plan_run_and_dry_run(evaluated: Line, settings: Settings, tmp_path: Path) -> None:
    faults = tmp_path / "faults"
    planned = command(settings, faults, "plan", "--json")
    assert planned.returncode == 0, planned.stderr
    document = json.loads(planned.stdout)
    assert document["bytes"] == 1200
    assert {item["kind"] for item in document["items"]} == {"snapshot"}
    assert json.loads(command(settings, faults, "run", "--dry-run", "--json").stdout) == document
    listed = command(settings, faults, "plan")
    assert "to be marked" in listed.stdout
    assert "4 things would go, 1.2 KiB" in listed.stdout
    first = command(settings, faults, "run")
    assert first.stdout == "marked 4, kept again 0, deleted 0 (0 B), waiting 4\n"
    assert "due 20" in command(settings, faults, "plan").stdout
    second = command(settings, faults, "run", "--grace", "0", "--json")
    assert json.loads(second.stdout)["collected"] == 4
    assert evaluated.files("c0") == 0


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.crash
def test_a_killed_collector_leaves_nothing_half_readable(
    evaluated: Line, settings: Settings, tmp_path: Path, point: str
) -> None:
    faults = tmp_path / "faults"
    faults.mkdir()
    (faults / f"{point}.one").write_text("kill")
    killed = command(settings, faults, "run", "--grace", "0")
    assert killed.returncode == -signal.SIGKILL
    labels = ("c0", "c1", "no_op c0", "no_op c1")
    for label in labels:
        manifest = evaluated.store.exists(f"snapshots/{key_of(label)}/manifest.json")
        whole = evaluated.files(label) == 3
        if evaluated.states(label) == ["complete"]:
            assert whole
        assert manifest is whole
    ended = command(settings, faults, "run", "--grace", "0", "--json")
    assert ended.returncode == 0, ended.stderr
    assert [evaluated.files(label) for label in labels] == [0, 0, 0, 0]
    assert evaluated.states(*labels) == ["collected"] * 4
    assert all(evaluated.find(label).collected_at is not None for label in labels)  # type: ignore[union-attr]
    assert evaluated.states("c2", "baseline", "no_op c2") == ["complete"] * 3
    assert [evaluated.files(label) for label in ("c2", "baseline")] == [3, 3]


@pytest.mark.crash
def test_a_collector_killed_over_a_leftover_ends_it_next_time(
    line: Line, settings: Settings, store: ArtifactStore, tmp_path: Path
) -> None:
    faults = tmp_path / "faults"
    faults.mkdir()
    keys = [f"dictionaries/{key_of('o')}/{f}" for f in ("cfg.json", "sae_weights.safetensors")]
    moment = time.time() - 2 * 86400
    for key in keys:
        store.write_bytes(key, b"12345")
        os.utime(tmp_path / "artifacts" / key, (moment, moment))
    (faults / "collector-deleting.one").write_text("kill")
    assert command(settings, faults, "run", "--grace", "0").returncode == -signal.SIGKILL
    assert [store.exists(key) for key in keys] == [False, True]
    assert command(settings, faults, "run", "--grace", "0").returncode == 0
    assert [store.exists(key) for key in keys] == [False, False]


def test_the_timer_collects_what_policies_let_go(
    evaluated: Line, settings: Settings, database: Database, store: ArtifactStore, tmp_path: Path
) -> None:
    orphan = f"tokens/{key_of('o')}.safetensors"
    store.write_bytes(orphan, b"12345")
    os.utime(tmp_path / "artifacts" / orphan, (0, 0))
    often = settings.model_copy(update={"retention_interval": 0.1, "retention_grace": 0.0})
    with RetentionTimer(often):
        deadline = time.monotonic() + 30
        while evaluated.states("c0", "c1") != ["collected"] * 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert evaluated.states("c0", "c1", "c2") == ["collected", "collected", "complete"]
    assert store.exists(orphan)


def test_the_timer_may_be_off(evaluated: Line, settings: Settings) -> None:
    with RetentionTimer(settings.model_copy(update={"retention_interval": 0.0}), poll_seconds=0.01):
        time.sleep(0.2)
    assert evaluated.find("c0").marked_at is None  # type: ignore[union-attr]
