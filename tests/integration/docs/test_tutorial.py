"""The tutorial, word for word, as somebody does who has just cloned the repository."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.integration.docs.blocks import Block, blocks, pattern
from tests.integration.embedded.up import alive, environment, wait_for
from tests.integration.exporter.servers import free_port

ROOT = Path(__file__).resolve().parents[3]
TUTORIAL = ROOT / "docs" / "tutorial.md"
STATE = "state.sh"


@pytest.mark.timeout(900)  # a minute, where nothing else runs
def test_the_tutorial_does_what_it_says(data_dir: Path) -> None:
    folder = data_dir
    folder.mkdir()
    port = str(free_port())
    variables = environment(
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # The page leaves both at their defaults; here others may run beside it.
        FEATUREDRIFT_PORT=port,
        FEATUREDRIFT_URL=f"http://127.0.0.1:{port}",
        FEATUREDRIFT_THREADS="1",
        OMP_NUM_THREADS="1",
    )
    (folder / STATE).write_text("")
    found = list(blocks(TUTORIAL.read_text(encoding="utf-8")))
    ran = 0
    with ExitStack() as services:
        for block in found:
            if block.directive == "in the background":
                services.enter_context(in_the_background(block, folder, variables))
            elif block.title:
                (folder / block.title).write_text(block.content, encoding="utf-8")
            elif block.directive != "not run":
                run(block, folder, variables)
                ran += 1
    assert ran >= 10
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "drifted" in report
    assert "<script" not in report


def run(block: Block, folder: Path, variables: dict[str, str]) -> None:
    """Run a block in a shell that knows what the blocks before it have set."""
    script = f"source {STATE}\ntrap 'export -p > {STATE}' EXIT\nset -aeuo pipefail\n{block.content}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    told = f"{block.content}\nsays:\n{done.stdout}"
    assert done.returncode == block.exit_code, told
    if block.output is not None:
        fits = pattern(block.output).fullmatch(done.stdout) is not None
        assert fits, f"{told}\nnot:\n{block.output}"


@contextmanager
def in_the_background(block: Block, folder: Path, variables: dict[str, str]) -> Iterator[None]:
    """Run a block until the rest is done; it must end in order on Ctrl-C."""
    log = folder / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {block.content}"],
            cwd=folder,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    family: list[psutil.Process] = []
    try:
        shown = pattern(block.output or "")
        wait_for(lambda: shown.fullmatch(log.read_text()) or process.poll() is not None, 300)
        assert process.poll() is None, log.read_text()
        family = psutil.Process(process.pid).children(recursive=True)
        yield
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    finally:
        if process.poll() is None:
            family += psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
        for left in alive(family):
            left.kill()


def test_what_is_not_run_is_there() -> None:
    skipped = [b.content for b in blocks(TUTORIAL.read_text()) if b.directive == "not run"]
    assert skipped == ["make install\n", "source .venv/bin/activate\n"]
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^install:", makefile, re.MULTILINE)
    assert re.search(r"^VENV\s*:=\s*\.venv$", makefile, re.MULTILINE)
