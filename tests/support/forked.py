"""Processes that begin with the heavy libraries in memory: a second earlier, ten times as cheap.

A server process imports torch, SAELens and the pipeline once, with one thread, and forks for each
process that is asked for. What then runs is what production runs; only its imports are shared.
"""

import contextlib
import ctypes
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from functools import lru_cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

# Not `workers.celery_app`, which reads settings when it is imported.
_PRELOADED = [
    "sae_lens",
    "workers.pipeline.run",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
    "celery.bin.celery",
    "celery.app.amqp",
    "celery.concurrency.prefork",
    "celery.worker.consumer",
    "kombu.transport.redis",
    "app.evaluations.dispatcher",
    "tests.support.forked",
]
_PR_SET_PDEATHSIG = 1
_FIRST_TO_GO = "500"


@lru_cache(maxsize=1)
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


class ForkedProcess:
    """A forked process with the interface of `subprocess.Popen`, as far as tests use it."""

    def __init__(
        self,
        target: Callable[..., None],
        arguments: Sequence[Any],
        *,
        env: Mapping[str, str],
        log: Path,
        skew: Path | None = None,
    ) -> None:
        """Start `target(*arguments)`.

        Args:
            env: its whole environment.
            log: takes its output.
            skew: a file with seconds by which its clock is wrong, as long as there is one.
        """
        self._process = _context().Process(
            target=_begin, args=(target, tuple(arguments), dict(env), str(log), skew)
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """As Popen's: negative for a signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """As `returncode`."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended.

        Raises:
            TimeoutExpired: it has not, in time.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutExpired("forked", timeout or 0)
        return self._process.exitcode

    def terminate(self) -> None:
        """SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)


def run_celery(argv: Sequence[str]) -> None:
    """A worker, as `python -m celery --app workers.celery_app` starts it."""
    from workers.celery_app import app

    app.worker_main(list(argv))


def run_dispatcher() -> None:
    """A dispatcher, as `featuredrift dispatcher` starts it."""
    from app.cli.processes import dispatcher

    dispatcher()


def _begin(
    target: Callable[..., None],
    arguments: tuple[Any, ...],
    env: dict[str, str],
    log: str,
    skew: Path | None,
) -> None:
    from app.core import faults

    os.setsid()
    # The pool collects garbage before each fork of a child, and would look through all libraries.
    gc.freeze()
    _go_with_the_tests()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(env)
    # Both read the environment when they were imported, which was in the server.
    folder = env.get(faults.VARIABLE)
    faults._FOLDER = folder
    importlib.reload(importlib.import_module("huggingface_hub.constants"))
    if skew is not None:
        _let_clock_jump(skew)
    target(*arguments)


def _go_with_the_tests() -> None:
    """End when the server does, which ends with whoever runs the tests, even by SIGKILL.

    When memory runs out, the kernel is to take this process and not the one that runs the tests.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)


def _let_clock_jump(skew: Path) -> None:
    """Put `time.time` and the service's own `now` wrong by what the file says at each call."""
    from app.core import clock

    right = time.time

    def seconds() -> float:
        try:
            return float(skew.read_text())
        except (FileNotFoundError, ValueError):
            return 0.0

    def wrong() -> float:
        return right() + seconds()

    class Wrong(datetime):
        """A datetime whose `now` is wrong."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            """The wrong time."""
            return datetime.fromtimestamp(wrong(), tz)

    time.time = wrong
    clock.datetime = Wrong  # type: ignore[misc]
