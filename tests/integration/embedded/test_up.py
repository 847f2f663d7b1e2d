"""`featuredrift up`: everything starts, survives, and leaves nothing behind."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from app.embedded.redis import RedisServer
from app.embedded.stack import EmbeddedStack
from tests.integration.embedded.up import (
    NAMES,
    Up,
    alive,
    command,
    environment,
    running_up,
    wait_for,
)


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """One that several tests use, and hurt."""
    with (
        tempfile.TemporaryDirectory(
            prefix="featuredrift-tests-", ignore_cleanup_errors=True
        ) as folder,
        running_up(Path(folder) / "data") as up,
    ):
        yield up


def add_model(up: Up, name: str) -> None:
    response = httpx.post(f"{up.base_url}/v1/models", json={"name": name}, timeout=30)
    assert response.status_code == 201, response.text


def has_model(up: Up, name: str) -> bool:
    return httpx.get(f"{up.base_url}/v1/models/{name}", timeout=30).status_code == 200


def test_everything_survives_ctrl_c_a_kill_and_a_restart(data_dir: Path) -> None:
    with running_up(data_dir) as up:
        add_model(up, "kept")
        family = up.family()
        assert up.stop(signal.SIGINT) == 0
        wait_for(lambda: not alive(family))
        assert "stopping" in up.output.read_text()

    with running_up(data_dir) as up:
        assert has_model(up, "kept")
        add_model(up, "kept-too")
        family = up.family()
        up.process.kill()
        up.process.wait()
        wait_for(lambda: not alive(family))

    with running_up(data_dir) as up:
        assert has_model(up, "kept-too")
        family = up.family()
        assert up.stop(signal.SIGTERM) == 0
        wait_for(lambda: not alive(family))


def test_the_next_one_ends_what_a_kill_of_everything_above_has_left(data_dir: Path) -> None:
    """Supervisor and watchdog killed at once: the record and the servers' own files remain."""
    with running_up(data_dir) as up:
        family = up.family()
        add_model(up, "kept")
        watchdog = next(p for p in family if "app.embedded.watchdog" in " ".join(p.cmdline()))
        watchdog.suspend()
        up.process.kill()
        watchdog.kill()
        up.process.wait()
        survivors = alive(family)
        assert len(survivors) >= len(NAMES)

        with running_up(data_dir) as after:
            wait_for(lambda: not alive(survivors))
            assert "ended postgres, left over" in after.output.read_text()
            assert has_model(after, "kept")


def test_metrics_are_served(up: Up) -> None:
    def exporter_is_up() -> bool:
        text = httpx.get(f"{up.base_url}/metrics", follow_redirects=False).text
        return "featuredrift_exporter_up 1.0" in text

    wait_for(exporter_is_up)


def test_retention_finds_the_database_that_runs_here(up: Up) -> None:
    result = subprocess.run(
        command("retention", "plan"),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(FEATUREDRIFT_DATA_DIR=str(up.data_dir)),
    )
    assert result.returncode == 0, result.stderr
    assert "0 things would go" in result.stdout


def test_a_second_one_on_the_same_directory_is_refused(up: Up) -> None:
    result = subprocess.run(
        command("up", "--data-dir", str(up.data_dir), "--port", "0"),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )

    assert result.returncode == 1
    assert f"is in use by the process {up.process.pid}" in result.stderr
    assert httpx.get(f"{up.base_url}/readyz").status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_child_is_started_again(up: Up, name: str) -> None:
    before = up.child(name)
    before.kill()

    wait_for(lambda: alive([before]) == [])
    wait_for(lambda: any(_is(up, name, process) for process in up.family()))
    wait_for(lambda: _ready(up))
    assert f"{name} was killed by SIGKILL; starting it again" in up.output.read_text()


def _is(up: Up, name: str, process: psutil.Process) -> bool:
    try:
        return up.child(name).pid == process.pid
    except (AssertionError, psutil.NoSuchProcess):
        return False


def _ready(up: Up) -> bool:
    try:
        return httpx.get(f"{up.base_url}/readyz", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def test_configured_servers_are_used_and_left_running(
    data_dir: Path, database_url: str, redis_server: RedisServer
) -> None:
    urls = {"DATABASE_URL": database_url, "REDIS_URL": redis_server.url}
    with running_up(data_dir, **urls) as up:
        add_model(up, "elsewhere")
        assert up.stop() == 0

    assert not (data_dir / "postgres").exists()
    assert not (data_dir / "redis").exists()
    assert redis_server.child.running()


def test_a_stop_during_the_start_leaves_nothing(data_dir: Path) -> None:
    process = subprocess.Popen(
        command("up", "--data-dir", str(data_dir), "--port", "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
    )
    wait_for((data_dir / "postgres" / "postmaster.pid").exists)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)

    said, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert b"stopped before it was ready" in said
    wait_for(lambda: not alive(family))


def test_the_stack_from_python(data_dir: Path) -> None:
    with EmbeddedStack(data_dir=data_dir, port=0, lease_seconds=40.0) as stack:
        worker = psutil.Process(stack.worker_pid)
        everything = [psutil.Process(stack.pid(name)) for name in NAMES]
        assert httpx.get(f"{stack.base_url}/readyz").status_code == 200
        assert worker.environ()["FEATUREDRIFT_LEASE_SECONDS"] == "40.0"
        assert stack.run((sys.executable, "-c", "raise SystemExit(7)")) == 7
        assert len(alive(everything)) == len(NAMES)

    wait_for(lambda: not alive(everything))


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ValueError, match="colour: no such setting"):
        EmbeddedStack(colour="red")
