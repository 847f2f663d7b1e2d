"""Dispatcher processes that are killed or told to end in the middle of a delivery."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from app.settings import Settings
from tests.integration.webhooks.conftest import Hooks
from tests.integration.webhooks.receiver import Receiver
from tests.support.deployment import fault_environment, wait_for

# The lease ends soon, so that the tests need not wait for it.
_SCRIPT = """
import functools
from app.cli.signals import run_until_signalled
from app.core.logging import configure_logging
from app.evaluations import dispatcher
from app.settings import get_settings

configure_logging("info")
dispatcher.Deliverer = functools.partial(dispatcher.Deliverer, lease_slack=1.0)
run_until_signalled(lambda stop: dispatcher.run_dispatcher(get_settings(), stop))
"""

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def faults(tmp_path: Path) -> Path:
    """Where faults are ordered."""
    folder = tmp_path / "faults"
    folder.mkdir()
    return folder


@pytest.fixture
def start(settings: Settings, faults: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts dispatchers, and kills those that are left."""
    environment = fault_environment(settings, faults)
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        with (tmp_path / "dispatchers.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _SCRIPT], env=environment, stdout=log, stderr=log
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.crash
@pytest.mark.parametrize(("point", "arrivals"), [("before-delivery", 1), ("after-delivery", 2)])
def test_a_dispatcher_killed_in_a_delivery_is_replaced_by_another(
    hooks: Hooks, receiver: Receiver, start: Start, faults: Path, point: str, arrivals: int
) -> None:
    (faults / f"{point}.order").write_text("kill")
    webhook = hooks.make(receiver.url)
    path = hooks.test(webhook)
    first, second = start(), start()
    delivery = hooks.ended(path)
    assert delivery["state"] == "delivered"
    assert delivery["attempts"] == 2
    assert [first.poll(), second.poll()].count(None) == 1
    assert [first.poll(), second.poll()].count(-signal.SIGKILL) == 1
    # Nobody can know whether the killed one was heard: the id lets the receiver see it.
    assert [request.headers["webhook-id"] for request in receiver.received] == (
        [delivery["message_id"]] * arrivals
    )
    for request in receiver.received:
        Verifier(webhook["secret"]).verify(request.body, request.headers)


def test_sigterm_ends_a_dispatcher_in_order_while_it_delivers(
    hooks: Hooks, receiver: Receiver, start: Start, faults: Path, tmp_path: Path
) -> None:
    (faults / "after-delivery.order").write_text("sleep 1")
    paths = [hooks.test(hooks.make(receiver.url)) for _ in range(2)]
    process = start()
    wait_for(lambda: len(receiver.received) == 2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    found = [hooks.get(path) for path in paths]
    assert [(delivery["state"], delivery["attempts"]) for delivery in found] == [
        ("delivered", 1),
        ("delivered", 1),
    ]
    log = (tmp_path / "dispatchers.log").read_text()
    assert "Traceback" not in log
    assert "whsec_" not in log
    assert receiver.url not in log
