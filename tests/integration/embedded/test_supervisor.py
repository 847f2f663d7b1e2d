"""Children are kept alive, ended whole, and never forgotten: shown with small real processes."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.embedded import supervisor as module
from app.embedded.children import Child, ChildSpec, start_child
from app.embedded.errors import EmbeddedError
from app.embedded.lock import DataDirectoryLock
from app.embedded.record import end_recorded, write_record
from app.embedded.supervisor import Supervisor
from tests.integration.embedded.up import alive, wait_for

WITH_GRANDCHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def spec(tmp_path: Path, code: str, *, name: str = "child", grace: float = 10) -> ChildSpec:
    log = tmp_path / f"{name}.log"
    return ChildSpec(name=name, argv=(sys.executable, "-c", code), log=log, grace=grace)


@pytest.fixture
def reported() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, reported: list[str]) -> Iterator[Supervisor]:
    lock = DataDirectoryLock(tmp_path)
    lock.acquire()
    supervisor = Supervisor(tmp_path, lock.fd, reported.append)
    yield supervisor
    supervisor.hurry = True
    supervisor.stop()
    lock.release()


def output(child: Child) -> str:
    """What it has written, once it has."""
    log = child.spec.log
    assert log is not None
    wait_for(log.read_text)
    return log.read_text()


def test_a_child_that_was_killed_is_started_again(
    supervisor: Supervisor, reported: list[str], tmp_path: Path
) -> None:
    first = supervisor.start(spec(tmp_path, WITH_GRANDCHILD))
    orphan = psutil.Process(int(output(first)))

    first.process.kill()

    wait_for(lambda: (now := supervisor.child("child")) and now.pid != first.pid)
    wait_for(lambda: not alive([orphan]))
    assert reported == ["child was killed by SIGKILL; starting it again in 0.5 s"]


def test_one_that_will_not_stay_is_given_up_with_its_last_words(
    supervisor: Supervisor,
    reported: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_FIRST_DELAY", 0.01)

    supervisor.start(spec(tmp_path, "import sys; print('no disk left'); sys.exit(3)"))

    assert supervisor.failed.wait(30)
    assert supervisor.failure is not None
    assert "exited with code 3 for the 5th time within 60 s; giving up" in supervisor.failure
    assert "no disk left" in supervisor.failure
    assert len(reported) == 4


def test_stop_kills_what_ignores_it_after_its_grace(supervisor: Supervisor, tmp_path: Path) -> None:
    child = supervisor.start(spec(tmp_path, STUBBORN, grace=0.2))
    output(child)

    supervisor.stop()

    assert child.outcome() == "was killed by SIGKILL"


def test_hurry_cuts_the_grace_short(supervisor: Supervisor, tmp_path: Path) -> None:
    child = supervisor.start(spec(tmp_path, STUBBORN, grace=3600))
    output(child)
    stopping = threading.Thread(target=supervisor.stop)
    stopping.start()
    assert child.running()

    supervisor.hurry = True

    stopping.join(30)
    assert not stopping.is_alive()
    assert not child.running()


def test_stop_ends_the_last_started_first(supervisor: Supervisor, tmp_path: Path) -> None:
    code = """
import pathlib, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready", flush=True)
signal.pause()
"""
    ended: list[str] = []
    names = ("first", "second", "third")
    for name in names:
        child = supervisor.start(spec(tmp_path, code, name=name))
        output(child)
        wait = child.process.wait
        child.process.wait = lambda *a, _n=name, _w=wait: (ended.append(_n), _w(*a))[1]  # type: ignore[method-assign]

    supervisor.stop()

    assert ended == [*reversed(names)]


def test_a_program_that_does_not_exist(supervisor: Supervisor) -> None:
    with pytest.raises(EmbeddedError, match="ghost cannot be started"):
        supervisor.start(ChildSpec(name="ghost", argv=("/nonexistent/program",)))


def test_run_gives_the_exit_code(supervisor: Supervisor, tmp_path: Path) -> None:
    def run(code: str) -> int:
        return supervisor.run(spec(tmp_path, code), stopping=lambda: False)

    assert run("raise SystemExit(7)") == 7
    assert run("import os; os.kill(os.getpid(), 9)") == 128 + signal.SIGKILL


def test_run_ends_early_when_asked(supervisor: Supervisor, tmp_path: Path) -> None:
    assert supervisor.run(
        spec(tmp_path, "import time; time.sleep(600)"), stopping=lambda: True
    ) == (128 + signal.SIGTERM)


def test_what_is_recorded_is_ended_with_all_its_children(tmp_path: Path) -> None:
    child = start_child(spec(tmp_path, WITH_GRANDCHILD))
    family = [psutil.Process(child.pid), psutil.Process(int(output(child)))]
    write_record(tmp_path, [child])

    assert end_recorded(tmp_path) == ["child"]

    wait_for(lambda: not alive(family))
    assert end_recorded(tmp_path) == []
    child.process.wait()


def test_a_recorded_id_that_names_another_process_by_now_is_left_alone(tmp_path: Path) -> None:
    child = start_child(spec(tmp_path, "import time; time.sleep(600)"))
    write_record(tmp_path, [child])
    record = tmp_path / "processes.json"
    entries = json.loads(record.read_text())
    entries[0]["created"] -= 100
    record.write_text(json.dumps(entries))

    assert end_recorded(tmp_path) == []

    assert child.running()
    child.end()


def test_the_watchdog_is_replaced_when_it_dies(supervisor: Supervisor, tmp_path: Path) -> None:
    child = supervisor.start(spec(tmp_path, "import time; time.sleep(600)"))

    def watchdogs() -> set[int]:
        return {
            process.pid
            # Unlike Process.cmdline, this gives None for one that was killed a moment ago.
            for process in psutil.process_iter(["ppid", "cmdline"])
            if process.info["ppid"] == os.getpid()
            and "app.embedded.watchdog" in " ".join(process.info["cmdline"] or ())
        }

    (first,) = watchdogs()
    psutil.Process(first).kill()

    wait_for(lambda: watchdogs() - {first})
    assert child.running()


def test_only_one_holds_a_data_directory(tmp_path: Path) -> None:
    first, second = DataDirectoryLock(tmp_path), DataDirectoryLock(tmp_path)
    first.acquire()

    with pytest.raises(EmbeddedError, match=r"is in use by the process \d+"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_lock_whose_owner_is_gone_is_waited_for(tmp_path: Path) -> None:
    """Its watchdog still holds it, until all children have ended."""
    watchdog, next_up = DataDirectoryLock(tmp_path), DataDirectoryLock(tmp_path)
    watchdog.acquire()
    (tmp_path / "lock").write_text(json.dumps({"pid": 1, "created": 0.0}))
    waiting = threading.Thread(target=next_up.acquire)
    waiting.start()
    time.sleep(0.3)
    assert waiting.is_alive()

    watchdog.release()

    waiting.join(30)
    assert not waiting.is_alive()
    next_up.release()
