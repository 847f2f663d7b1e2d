"""A real MLflow tracking server creates a version; its own webhook brings it here."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from tests.integration.embedded.up import wait_for
from tests.integration.mlflow.conftest import SECRET
from tests.support.api import make_checkpoint
from tests.support.serving import serving

MLFLOW = Path(sys.prefix) / "peers" / "mlflow" / "bin" / "mlflow"
EVENTS = [
    {"entity": "MODEL_VERSION", "action": "CREATED"},
    {"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"},
]

pytestmark = [
    pytest.mark.skipif(not MLFLOW.exists(), reason="MLflow is not installed in .venv/peers/mlflow"),
    pytest.mark.timeout(300),
]


@pytest.fixture
def api_url(believing: Settings) -> Iterator[str]:
    """The application behind a real socket."""
    with serving(believing) as url:
        yield url


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[httpx.Client]:
    """MLflow's own tracking server with a registry in SQLite, allowed to post to this machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
    process = subprocess.Popen(
        [
            *(str(MLFLOW), "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"),
            *("--artifacts-destination", str(tmp_path / "artifacts")),
        ],
        env=inherited
        | {
            "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
            "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(b"k" * 32).decode(),
        },
        stdout=(tmp_path / "mlflow.log").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

        def is_up() -> bool:
            assert process.poll() is None, (tmp_path / "mlflow.log").read_text()[-2000:]
            try:
                return client.get("/health").is_success
            except httpx.TransportError:
                return False

        try:
            wait_for(is_up, seconds=180)
            yield client
        finally:
            children = psutil.Process(process.pid).children(recursive=True)
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
            for child in psutil.wait_procs(children, timeout=10)[1]:
                child.kill()


def call(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = client.post(f"/api/2.0/mlflow/{path}", json=body)
    assert response.is_success, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_a_version_created_in_a_real_registry_is_a_checkpoint_here(
    mlflow: httpx.Client, api_url: str, client: TestClient, settings: Settings
) -> None:
    source = make_checkpoint(settings.allowed_roots[0] / "run-1")
    webhook = call(
        mlflow,
        "webhooks",
        {
            "name": "featuredrift",
            "url": f"{api_url}/v1/integrations/mlflow",
            "events": EVENTS,
            "secret": SECRET,
        },
    )["webhook"]
    tested = call(mlflow, f"webhooks/{webhook['webhook_id']}/test", {})["result"]
    assert tested["success"], tested
    assert json.loads(tested["response_body"])["outcome"] == "ignored"

    call(mlflow, "registered-models/create", {"name": "Support Bot"})
    version = {"name": "Support Bot", "source": "s3://registry/run-1"}
    found = call(mlflow, "model-versions/create", version)
    number = str(found["model_version"]["version"])
    call(
        mlflow,
        "registered-models/alias",
        {"name": "Support Bot", "alias": "champion", "version": number},
    )

    def arrived() -> bool:
        alias = client.get("/v1/models/bot/aliases/baseline").json()
        return bool(alias["checkpoint"] == f"v{number}")

    wait_for(arrived, seconds=60)
    checkpoint = client.get(f"/v1/models/bot/checkpoints/v{number}").json()
    assert checkpoint["source"] == source
    assert len(checkpoint["evaluations"]) == 1
