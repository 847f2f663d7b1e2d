"""An API that believes one MLflow registry, and that registry's messages."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.integrations.mlflow.mapping import MlflowModel
from app.main import create_app
from app.settings import Settings
from tests.support.api import register_line

SECRET = "a secret of this test"
Deliver = Callable[..., httpx.Response]


@pytest.fixture
def believing(settings: Settings) -> Settings:
    """Settings with the secret, and a mapping of the registered model `Support Bot`."""
    mapping = {
        "model": "bot",
        "replace_prefix": {
            "mlflow-artifacts:/": f"{settings.allowed_roots[0]}/",
            "s3://registry/": f"{settings.allowed_roots[0]}/",
        },
        "aliases": {"champion": "baseline"},
    }
    models = {
        "Support Bot": mapping,
        "By Tag": {"model": "bot", "checkpoint": "tagged-{version}", "source_tag": "files"},
    }
    return settings.model_copy(
        update={
            "mlflow_webhook_secret": SECRET,
            "mlflow_models": {
                name: MlflowModel.model_validate(value) for name, value in models.items()
            },
        }
    )


@pytest.fixture
def client(believing: Settings) -> Iterator[TestClient]:
    """A client that has registered the model `bot` with a monitor."""
    with TestClient(create_app(believing), raise_server_exceptions=False) as client:
        register_line(client, believing)
        yield client


@pytest.fixture
def deliver(client: TestClient) -> Deliver:
    """Send a message as MLflow 3 sends it."""
    return sender(client)


def sender(client: TestClient) -> Deliver:
    """What sends messages to a client's application."""

    def send(
        event: str,
        data: dict[str, Any],
        *,
        delivery: str | None = None,
        secret: str = SECRET,
        sent: float | None = None,
        at: str = "2026-11-22T09:31:00.250000+00:00",
    ) -> httpx.Response:
        entity, action = event.split(".")
        body = json.dumps({"entity": entity, "action": action, "timestamp": at, "data": data})
        identity = delivery or str(uuid.uuid4())
        seconds = str(int(time.time() if sent is None else sent))
        digest = hmac.new(
            secret.encode(), f"{identity}.{seconds}.{body}".encode(), hashlib.sha256
        ).digest()
        return client.post(
            "/v1/integrations/mlflow",
            content=body,
            headers={
                "Content-Type": "application/json",
                "X-MLflow-Delivery-Id": identity,
                "X-MLflow-Timestamp": seconds,
                "X-MLflow-Signature": f"v1,{base64.b64encode(digest).decode()}",
            },
        )

    return send


def version(number: int, source: str, **changes: Any) -> dict[str, Any]:
    """The data of `model_version.created`."""
    known = {"name": "Support Bot", "version": str(number), "source": source}
    return {**known, "run_id": None, "tags": {}, "description": None, **changes}
