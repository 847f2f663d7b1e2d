"""The commands that ask the API: what they print, what they change, how they end."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from app.alerts.service import follow
from app.cli import console, progress
from app.core.database import Database
from app.main import create_app
from app.repairs.writing import replace_proposal
from app.settings import Settings
from tests.integration.access.conftest import PEPPER, make_key
from tests.integration.cli.commands import Terminal
from tests.support.api import (
    FEATURES,
    finish,
    make_checkpoint,
    make_dictionary,
    register_line,
    verdict,
)
from tests.support.serving import serving


@pytest.fixture
def line(terminal: Terminal, settings: Settings) -> Terminal:
    """A terminal; the model `bot` with its monitor `watch` is registered."""
    with TestClient(create_app(settings)) as client:
        register_line(client, settings)
    return terminal


def evaluate(line: Terminal, settings: Settings, name: str = "new") -> str:
    """Register one more checkpoint; its evaluation's id."""
    source = make_checkpoint(settings.allowed_roots[0] / name)
    found = json.loads(line.ok("checkpoints", "register", "bot", name, source, "--json"))
    assert found["new"]
    (evaluation,) = found["evaluations"]
    return str(evaluation)


def test_a_line_is_built_by_commands_alone(
    terminal: Terminal, settings: Settings, tmp_path: Path
) -> None:
    root = settings.allowed_roots[0]
    features = tmp_path / "features.json"
    features.write_text(json.dumps(FEATURES))
    policy = tmp_path / "policy.json"
    policy.write_text('{"gate": {"max_drifted_ratio": 0.5}}')
    with TestClient(create_app(settings)) as client:
        documents = [{"id": "a", "text": "one two", "labels": {"number": [[0, 3]]}}]
        client.post("/v1/corpora", json={"name": "probes", "documents": documents})

    assert "none yet" in terminal.run("models", "list")[2]
    terminal.ok("models", "create", "bot", "--description", "answers")
    terminal.ok("checkpoints", "register", "bot", "base", make_checkpoint(root / "base"))
    terminal.ok("checkpoints", "alias", "bot", "baseline", "base")
    terminal.ok("dictionaries", "register", "layer-1", make_dictionary(root / "sae"))
    assert "composite" in terminal.ok("feature-sets", "publish", "set", features)
    made = terminal.ok(
        *("monitors", "create", "watch", "--model", "bot", "--corpus", "probes"),
        *("--feature-set", "set:1", "--watch", "number", "--policy", policy),
    )

    assert "set:1" in made
    assert "alias baseline" in made
    shown = json.loads(terminal.ok("monitors", "show", "watch", "--json"))
    assert shown["policy"]["gate"]["max_drifted_ratio"] == 0.5
    assert shown["watchlist"] == ["number"]
    for command in ("models", "dictionaries", "feature-sets", "monitors"):
        assert len(terminal.ok(command, "list").splitlines()) == 2
        assert len(json.loads(terminal.ok(command, "list", "--json"))) == 1
    assert "baseline → base" in terminal.ok("models", "show", "bot")
    assert "layer-1" in terminal.ok("dictionaries", "show", "layer-1")
    assert "number" in terminal.ok("feature-sets", "show", "set")


def test_checkpoints_are_registered_listed_and_marked(line: Terminal, settings: Settings) -> None:
    evaluation = evaluate(line, settings)

    listed = line.ok("checkpoints", "list", "bot").splitlines()
    assert [row.split()[0] for row in listed] == ["checkpoint", "new", "base"]
    assert "baseline" in listed[2]
    shown = line.ok("checkpoints", "show", "bot", "new")
    assert evaluation in shown
    assert "pending" in shown
    assert "same" in line.ok("checkpoints", "benign", "bot", "new", "--by", "ada", "--note", "same")
    lifted = line.ok("checkpoints", "benign", "bot", "new", "--lift", "--by", "ada", "--json")
    assert json.loads(lifted)["benign"] is False


def test_an_alias_is_shown_moved_and_removed(line: Terminal, settings: Settings) -> None:
    evaluate(line, settings)
    assert "base" in line.ok("checkpoints", "alias", "bot", "baseline")
    code, _, err = line.run("checkpoints", "alias", "bot", "baseline", "new")
    assert (code, "moved from base" in err) == (0, True)
    assert line.run("checkpoints", "alias", "bot", "baseline", "new", "--remove")[0] == 2
    line.ok("checkpoints", "alias", "bot", "baseline", "--remove")
    code, _, err = line.run("checkpoints", "alias", "bot", "baseline")
    assert code == 1
    assert "no alias 'baseline'" in err


def test_watching_ends_with_the_evaluation(
    line: Terminal, settings: Settings, database: Database
) -> None:
    evaluation = evaluate(line, settings)

    def work() -> None:
        with database.unit_of_work() as session:
            counts = {"comparisons": {"baseline": {"counts": {"drifted": 1}}}}
            finish(session, evaluation, [verdict("number", "drifted")], summary=counts)

    worker = threading.Timer(1.0, work)
    worker.start()
    code, out, err = line.run("evaluations", "watch", "--timeout", "60s")
    worker.join()

    assert code == 0
    assert "bot new queued" in err
    assert "bot new succeeded" in err
    assert "1 drifted" in out
    assert json.loads(line.ok("evaluations", "watch", evaluation, "--json"))["id"] == evaluation
    assert "number" in line.ok("verdicts", evaluation)
    assert line.ok("verdicts", evaluation, "--verdict", "stable").count("\n") == 1
    assert json.loads(line.ok("verdicts", evaluation, "--json"))[0]["margin"] == 0.2
    assert evaluation in line.ok("monitors", "history", "watch")
    (_, listed) = line.ok("evaluations", "list", "--state", "succeeded").splitlines()
    assert listed.split()[:7] == [evaluation, "watch", "bot", "new", "base", "succeeded", "1"]


def test_at_a_terminal_there_is_a_bar_with_time_left(
    line: Terminal, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = evaluate(line, settings)
    line.ok("evaluations", "cancel", evaluation)
    screen = Console(stderr=True, force_terminal=True, width=120)
    monkeypatch.setattr(progress, "err", screen)

    code, out, err = line.run("evaluations", "watch", evaluation, "--json")

    assert code == 1
    assert json.loads(out)["state"] == "cancelled"
    assert "bot new cancelled" in err
    assert "left" in err


def test_a_cancelled_one_is_tried_again_and_time_has_an_end(
    line: Terminal, settings: Settings
) -> None:
    evaluation = evaluate(line, settings)
    assert "cancelled" in line.ok("evaluations", "cancel", evaluation)
    assert "no evaluation is open" in line.run("evaluations", "watch")[2]
    assert "queued" in line.ok("evaluations", "retry", evaluation)
    code, out, err = line.run("evaluations", "watch", evaluation, "--timeout", "500ms")
    assert (code, out) == (1, "")
    assert "it goes on" in err
    assert "queued" in line.ok("evaluations", "create", "watch", "new")
    assert evaluation in line.ok("evaluations", "show", evaluation)


def test_alerts_are_acknowledged(line: Terminal, settings: Settings, database: Database) -> None:
    evaluation = evaluate(line, settings)
    with database.unit_of_work() as session:
        finish(session, evaluation, [verdict("number", "drifted", change="identity")])
        follow(session, UUID(evaluation))

    (alert,) = json.loads(line.ok("alerts", "list", "--json"))
    assert "feature number" in line.ok("alerts", "list", "--state", "open")
    assert "ada" in line.ok("alerts", "ack", alert["id"], "--by", "ada", "--note", "mine")
    shown = line.ok("alerts", "show", alert["id"])
    assert "acknowledged" in shown
    assert "mine" in shown
    assert line.run("alerts", "list", "--state", "gone")[0] == 2


def test_a_repair_is_read_and_decided(
    line: Terminal, settings: Settings, database: Database
) -> None:
    evaluation = evaluate(line, settings)
    change = {"feature": "up", "old": FEATURES[1], "new": FEATURES[1], "reason": "it has turned"}
    with database.unit_of_work() as session:
        finish(session, evaluation, [verdict("up", "drifted", diagnosis="rotated")])
        replace_proposal(
            session,
            UUID(evaluation),
            "baseline",
            changes=[{**change, "diagnosis": "rotated", "evidence": {}}],
            features=FEATURES,
        )

    (repair,) = json.loads(line.ok("repairs", "list", "--state", "proposed", "--json"))
    assert "up (rotated)" in line.ok("repairs", "list")
    assert "it has turned" in line.ok("repairs", "show", repair["id"])
    code, out, err = line.run("repairs", "accept", repair["id"], "--by", "ada")
    assert code == 0
    assert "accepted" in out
    assert "no monitor watches it yet" in err
    code, _, err = line.run("repairs", "reject", repair["id"], "--by", "ada")
    assert code == 1
    assert "accepted" in err


def test_mistakes_cost_a_line_that_says_what_to_do(line: Terminal) -> None:
    cases: list[tuple[tuple[str, ...], int, list[str]]] = [
        (("models", "show", "bto"), 1, ["no model 'bto'", "did you mean bot?", "models list"]),
        (("checkpoints", "show", "bot", "bse"), 1, ["did you mean base?", "checkpoints list"]),
        (("monitors", "show", "wacht"), 1, ["did you mean watch?"]),
        (("checkpoints", "alias", "bot", "basline"), 1, ["did you mean baseline?"]),
        (("evaluations", "show", "seven"), 1, ["evaluation", "evaluations list"]),
        (("evaluations", "show", str(uuid4())), 1, ["no evaluation", "evaluations list"]),
        (("repairs", "accept", str(uuid4())), 1, ["no repair", "repairs list"]),
        (("models", "create", "two words"), 1, ["name", "two words"]),
        (("evaluations", "watch", "--timeout", "soon"), 1, ["'soon' is no duration"]),
        (("models", "list", "--url", "nowhere"), 1, ["'nowhere' is no web address", "--url"]),
        (("models", "list", "--url", "http://127.0.0.1:1"), 3, ["does not answer", "up"]),
        (("model", "list"), 2, ["No such command"]),
        (("feature-sets", "publish", "s", "/no/file"), 1, ["/no/file: cannot be read"]),
    ]
    for arguments, expected, said in cases:
        code, out, err = line.run(*arguments)
        assert (code, out) == (expected, ""), (arguments, err)
        for words in said:
            assert words in err, (arguments, err)


def test_what_comes_from_a_user_cannot_move_the_cursor(line: Terminal, settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        nasty = "a\u202eb\u009b2J\u2028[red]x"
        client.post("/v1/models", json={"name": "other", "description": nasty})
    listed = line.ok("models", "list")
    assert "a\\u202eb\\x9b2J\\u2028[red]x" in listed
    assert console.plain("a\x1b[2Jb\n") == "a\\x1b[2Jb\\n"


def test_more_than_was_asked_for_is_said(line: Terminal) -> None:
    line.ok("models", "create", "second")
    code, out, err = line.run("models", "list", "--limit", "1", "--json")
    assert code == 0
    assert [model["name"] for model in json.loads(out)] == ["second"]
    assert "--limit 0" in err


def test_a_monitor_is_disabled_and_enabled(line: Terminal) -> None:
    assert json.loads(line.ok("monitors", "disable", "watch", "--json"))["enabled"] is False
    assert "yes" in line.ok("monitors", "enable", "watch")


def test_names_are_completed_by_what_there_is(line: Terminal) -> None:
    from app.cli.remote import complete_models, complete_monitors

    assert complete_models("b") == ["bot"]
    assert complete_models("x") == []
    assert complete_monitors("") == ["watch"]
    shell = {"_FEATUREDRIFT_COMPLETE": "complete_zsh"}
    shell["_TYPER_COMPLETE_ARGS"] = "featuredrift checkpoints show bot b"
    done = subprocess.run(
        [Path(sys.executable).with_name("featuredrift")],
        capture_output=True,
        text=True,
        env={**os.environ, **shell},
        timeout=60,
    )
    assert '"base"' in done.stdout, done.stderr
    line.monkeypatch.setenv("FEATUREDRIFT_URL", "http://127.0.0.1:1")
    assert complete_models("b") == []


def test_keys_are_sent_and_refusals_say_what_to_do(
    settings: Settings, database: Database, terminal: Terminal
) -> None:
    locked = settings.model_copy(update={"require_keys": True, "key_pepper": PEPPER})
    reader, admin = make_key(database, "reader", "read"), make_key(database, "admin", "admin")
    cases = [
        (None, ("models", "list"), 4, "FEATUREDRIFT_API_KEY"),
        ("fd_mistyped", ("models", "list"), 4, "checksum"),
        ("two words", ("models", "list"), 1, "FEATUREDRIFT_API_KEY"),
        (reader, ("models", "create", "bot"), 4, "write"),
        (reader, ("models", "list"), 0, "none yet"),
        (admin, ("models", "create", "bot"), 0, ""),
    ]
    with serving(locked) as url:
        terminal.monkeypatch.setenv("FEATUREDRIFT_URL", url)
        for key, arguments, expected, said in cases:
            if key is None:
                terminal.monkeypatch.delenv("FEATUREDRIFT_API_KEY", raising=False)
            else:
                terminal.monkeypatch.setenv("FEATUREDRIFT_API_KEY", key)
            code, out, err = terminal.run(*arguments)
            assert (code, said in err) == (expected, True), err
            assert key is None or key not in out + err
