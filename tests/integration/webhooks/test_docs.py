"""The receiver in the documentation takes what is signed, once, and nothing else."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from app.webhooks.deliverer import Deliverer
from tests.integration.webhooks.conftest import Hooks
from tests.support.deployment import wait_for

_PAGE = Path(__file__).parents[3] / "docs" / "webhooks.md"


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def example(hooks: Hooks, port: int, tmp_path: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """A webhook, and the documented receiver that knows its secret; what that prints."""
    found = re.search(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    assert found is not None
    webhook = hooks.make(f"http://127.0.0.1:{port}/hook")
    output = tmp_path / "receiver.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", found[1]],
            env={**os.environ, "WEBHOOK_SECRET": webhook["secret"], "PORT": str(port)},
            stdout=log,
            stderr=subprocess.DEVNULL,
        )
    try:
        wait_for(lambda: _listens(port))
        yield webhook, output
    finally:
        process.kill()
        process.wait()


def test_the_documented_receiver_verifies(
    hooks: Hooks,
    client: TestClient,
    settings: Settings,
    port: int,
    example: tuple[dict[str, str], Path],
) -> None:
    webhook, output = example
    path = hooks.test(webhook)
    with Deliverer(settings):
        assert hooks.ended(path)["response_status"] == 204
        client.post(f"{path}:redeliver")
        assert hooks.ended(path)["attempts"] == 2
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
    assert httpx.post(f"http://127.0.0.1:{port}/", content="{}").status_code == 401
    forged = httpx.post(f"http://127.0.0.1:{port}/", content="{}", headers=headers)
    assert forged.status_code == 401
    (line,) = output.read_text().splitlines()
    assert line.startswith("webhook.test ")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
