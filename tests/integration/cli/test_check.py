"""`featuredrift check` against the real API: the exit code is the gate's answer."""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient

from app.core.database import Database
from app.main import create_app
from app.settings import Settings
from tests.integration.embedded.up import command, environment, wait_for
from tests.support.api import finish, make_checkpoint, register_line, verdict


@pytest.fixture
def api_url(settings: Settings) -> Iterator[str]:
    """The application behind a real socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_for(lambda: server.started)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)
    listener.close()


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A client that has registered the model `bot` with a monitor."""
    with TestClient(create_app(settings)) as client:
        register_line(client, settings)
        yield client


def start(api_url: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("check", *arguments, "--url", api_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def run(api_url: str, *arguments: str) -> tuple[int, str, str]:
    process = start(api_url, *arguments)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out, err


def open_evaluation(client: TestClient) -> str:
    """The evaluation of the checkpoint `new`, once it is registered."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        found[:] = client.get("/v1/evaluations?model=bot&checkpoint=new").json().get("items", [])
        return bool(found)

    wait_for(is_there)
    return str(found[0]["id"])


@pytest.mark.parametrize(
    ("verdicts", "code", "said"),
    [
        ({"number": "stable", "up": "stable", "both": "stable"}, 0, "pass"),
        ({"number": "drifted", "up": "stable", "both": "stable"}, 1, "1 of 3 features have"),
        ({"number": "stable", "up": "inconclusive", "both": "stable"}, 2, "1 inconclusive of 3"),
    ],
)
def test_it_registers_waits_and_says_what_the_gate_says(
    api_url: str,
    client: TestClient,
    settings: Settings,
    database: Database,
    verdicts: dict[str, str],
    code: int,
    said: str,
) -> None:
    source = make_checkpoint(settings.allowed_roots[0] / "new")
    process = start(api_url, "bot", "new", "--source", source, "--parent", "base", "--wait", "60s")
    evaluation = open_evaluation(client)
    with database.unit_of_work() as session:
        finish(session, evaluation, [verdict(name, word) for name, word in verdicts.items()])

    out, err = process.communicate(timeout=60)

    assert process.returncode == code, err
    assert said in out
    assert "registered bot new" in err


def test_asking_again_registers_nothing_new_and_prints_json(
    api_url: str, client: TestClient, settings: Settings, database: Database
) -> None:
    source = make_checkpoint(settings.allowed_roots[0] / "new")
    client.post("/v1/models/bot/checkpoints", json={"name": "new", "source": source})
    with database.unit_of_work() as session:
        finish(session, open_evaluation(client), [verdict("number", "drifted")])

    code, out, err = run(api_url, "bot", "new", "--source", source, "--json")

    assert code == 1
    assert "was registered already: bot new" in err
    gate = json.loads(out)
    assert gate["gate"] == "fail"
    assert gate["reasons"][0]["features"] == ["number"]


def test_what_is_not_decided_in_time_is_inconclusive(
    api_url: str, client: TestClient, settings: Settings
) -> None:
    source = make_checkpoint(settings.allowed_roots[0] / "new")

    code, out, err = run(api_url, "bot", "new", "--source", source, "--wait", "1s")

    assert code == 2
    assert "pending" in out
    assert "not decided within 1s" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody", "new"), "nobody"),
        (("bot", "missing"), "missing"),
        (("bot", "new", "--source", "/etc"), "/etc"),
        (("bot", "base", "--wait", "soon"), "'soon' is no duration"),
    ],
)
def test_mistakes_are_errors_and_named(
    api_url: str, client: TestClient, arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = run(api_url, *arguments)

    assert code == 3
    assert err.startswith("error: ")
    assert said in err
