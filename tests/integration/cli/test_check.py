"""`featuredrift check` against the real API: the exit code is the gate's answer."""

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from junitparser import Error, Failure, JUnitXml

from app.core.database import Database
from app.main import create_app
from app.repairs.writing import replace_proposal
from app.settings import Settings
from tests.integration.embedded.up import command, environment, wait_for
from tests.support.api import (
    FEATURES,
    finish,
    make_checkpoint,
    register_checkpoint,
    register_line,
    verdict,
)
from tests.support.serving import serving


@pytest.fixture
def api_url(settings: Settings) -> Iterator[str]:
    """The application behind a real socket."""
    with serving(settings) as url:
        yield url


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A client that has registered the model `bot` with a monitor."""
    with TestClient(create_app(settings)) as client:
        register_line(client, settings)
        yield client


def start(api_url: str, *arguments: str) -> subprocess.Popen[str]:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell that runs the tests in the background has it ignored, and children inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
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
    assert " queued, 0 of " in err  # how far it is, where nobody sees a bar


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


def judged(client: TestClient, settings: Settings, database: Database, word: str) -> None:
    """The checkpoint `new`, with one feature of that verdict, a repair and controls."""
    (evaluation,) = register_checkpoint(client, settings, "new")["evaluations"]
    rows = [
        verdict("number", word, diagnosis="rotated" if word == "drifted" else None),
        verdict("up", "stable"),
        verdict("both", "stable"),
    ]
    control = {"control": "no_op", "passed": True, "detail": "exactly 0", "figures": {}}
    change = {"feature": "up", "old": FEATURES[1], "new": FEATURES[1], "reason": "r"}
    with database.unit_of_work() as session:
        finish(session, evaluation, rows, controls=[control])
        replace_proposal(
            session,
            UUID(evaluation),
            "baseline",
            changes=[{**change, "diagnosis": "rotated", "evidence": {}}],
            features=FEATURES,
        )


def reports(folder: Path) -> tuple[str, ...]:
    return ("--junit", str(folder / "gate.xml"), "--markdown", str(folder / "gate.md"))


@pytest.mark.parametrize(
    ("word", "code", "kind"),
    [("stable", 0, None), ("drifted", 1, Failure), ("inconclusive", 2, Error)],
)
def test_the_answer_is_told_in_every_form(
    api_url: str,
    client: TestClient,
    settings: Settings,
    database: Database,
    tmp_path: Path,
    word: str,
    code: int,
    kind: type | None,
) -> None:
    judged(client, settings, database, word)

    found, out, err = run(api_url, "bot", "new", *reports(tmp_path))

    assert found == code, err
    assert "watch against base: 3 features:" in out
    assert f"evaluation: {api_url}/evaluations/" in out
    assert "repair proposed: up (rotated)" in out
    assert ("identity 0.1 [0.05, 0.15], margin 0.2; rotated" in out) == (word == "drifted")
    suites = JUnitXml.fromstring((tmp_path / "gate.xml").read_bytes())
    cases = {case.name: case.result for suite in suites for case in suite}
    assert set(cases) == {"bot new", "number", "up", "both", "no_op"}
    assert [type(result) for result in cases["number"]] == ([kind] if kind else [])
    assert f"{api_url}/repairs/" in (tmp_path / "gate.md").read_text()
    assert sorted(path.name for path in tmp_path.glob("*gate*")) == ["gate.md", "gate.xml"]


def test_json_holds_the_evidence_with_links(
    api_url: str, client: TestClient, settings: Settings, database: Database
) -> None:
    judged(client, settings, database, "drifted")

    code, out, _ = run(api_url, "bot", "new", "--json")

    (evidence,) = json.loads(out)["evidence"]
    assert code == 1
    assert evidence["drifted"][0]["diagnosis"] == "rotated"
    assert [row["feature"] for row in evidence["watched"]].count("up") == 1
    for name in ("evaluation", "drifted", "repair"):
        path = evidence["links"][name].removeprefix(api_url)
        assert "items" in client.get(path).json() or client.get(path).json()["id"]
    for name in ("evaluation", "drifted", "repair", "report"):
        shown = client.get(evidence["pages"][name].removeprefix(api_url))
        assert shown.status_code == 200
        assert "<h1>" in shown.text


def test_of_a_whole_dictionary_the_watchlist_is_reported(
    api_url: str, client: TestClient, settings: Settings, database: Database, tmp_path: Path
) -> None:
    whole = {"feature_set": None, "dictionary": "layer-1", "watchlist": ["latent-3"]}
    body = {"name": "all", "model": "bot", "corpus": "probes", "baseline": {"alias": "baseline"}}
    wanted = {k: v for k, v in (body | whole).items() if v is not None}
    assert client.post("/v1/monitors", json=wanted).status_code == 201
    evaluations = register_checkpoint(client, settings, "new")["evaluations"]
    for evaluation in evaluations:
        monitor = client.get(f"/v1/evaluations/{evaluation}").json()["monitor"]
        names = ["latent-1", "latent-3"] if monitor == "all" else ["number"]
        with database.unit_of_work() as session:
            finish(session, evaluation, [verdict(name, "stable") for name in names])

    code, _, _ = run(api_url, "bot", "new", *reports(tmp_path))

    suites = JUnitXml.fromstring((tmp_path / "gate.xml").read_bytes())
    assert code == 0
    assert {case.name for suite in suites for case in suite} == {"bot new", "latent-3", "number"}


@pytest.mark.parametrize(
    ("option", "path", "said"),
    [
        ("--junit", "missing/gate.xml", "there is no folder"),
        ("--markdown", ".", "is a folder"),
        ("--markdown", "gate.xml", "name two files"),
    ],
)
def test_a_bad_path_is_an_error_before_anything_is_asked(
    tmp_path: Path, option: str, path: str, said: str
) -> None:
    nobody = "http://127.0.0.1:1"
    other = () if option == "--junit" else ("--junit", str(tmp_path / "gate.xml"))

    code, _, err = run(nobody, "bot", "new", option, str(tmp_path / path), *other)

    assert code == 3
    assert said in err
    assert "does not answer" not in err


def test_on_an_error_the_files_say_so_and_last_weeks_answer_is_gone(tmp_path: Path) -> None:
    (tmp_path / "gate.xml").write_text("last week: pass")

    code, out, err = run("http://127.0.0.1:1", "bot", "new", "--json", *reports(tmp_path))

    ((case,),) = JUnitXml.fromstring((tmp_path / "gate.xml").read_bytes())
    assert code == 3
    assert isinstance(case.result[0], Error)
    assert "does not answer" in case.result[0].message
    assert "could not be asked" in (tmp_path / "gate.md").read_text()
    assert json.loads(out)["gate"] == "error"
    assert "does not answer" in err


@pytest.mark.parametrize(
    "arguments", [("bot",), ("bot", "new", "--bogus"), ("bot", "new", "--parent", "base")]
)
def test_a_mistyped_command_is_an_error_and_not_inconclusive(arguments: tuple[str, ...]) -> None:
    assert run("http://127.0.0.1:1", *arguments)[0] == 3


def test_a_bad_setting_is_an_error_and_not_a_failed_gate(tmp_path: Path) -> None:
    done = subprocess.run(
        command("check", "bot", "new"),
        capture_output=True,
        text=True,
        env=environment(FEATUREDRIFT_PORT="many"),
    )
    assert done.returncode == 3
    assert "setting FEATUREDRIFT_PORT" in done.stderr or "setting port" in done.stderr


def test_an_interrupted_check_is_an_error_and_leaves_files_that_say_so(
    api_url: str, client: TestClient, settings: Settings, tmp_path: Path
) -> None:
    register_checkpoint(client, settings, "new")
    source = str(settings.allowed_roots[0] / "new")
    process = start(api_url, "bot", "new", "--source", source, *reports(tmp_path))
    assert process.stderr is not None
    assert "was registered already" in process.stderr.readline()

    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)

    ((case,),) = JUnitXml.fromstring((tmp_path / "gate.xml").read_bytes())
    assert process.returncode == 3
    assert isinstance(case.result[0], Error)


def test_an_api_that_is_something_else_is_an_error() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    thread = threading.Thread(target=answer)
    thread.start()
    code, _, err = run(f"http://127.0.0.1:{listener.getsockname()[1]}", "bot", "new")
    thread.join(10)
    listener.close()
    assert code == 3
    assert "is not the API of Featuredrift" in err
