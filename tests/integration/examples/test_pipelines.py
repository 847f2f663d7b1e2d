"""The pipeline examples: valid by the platforms' schemas, and every command in them is accepted."""

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import check_jsonschema
import click.testing
import pytest
import yaml
from typer.testing import CliRunner

from app.cli import app
from app.cli.check.exits import Exit
from app.cli.check.markdown import MARKER

EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"
GITHUB = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())
GITLAB = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())
STEPS = {step.get("name", step.get("uses")): step for step in GITHUB["jobs"]["gate"]["steps"]}
JOB = GITLAB["featuredrift-gate"]


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("github-actions.yml", "vendor.github-workflows"),
        ("gitlab-ci.yml", "vendor.gitlab-ci"),
    ],
)
def test_the_platforms_own_schema_is_kept(name: str, schema: str) -> None:
    special = ["--data-transform", "gitlab-ci"] if "gitlab" in schema else []
    done = click.testing.CliRunner().invoke(
        check_jsonschema.main, ["--builtin-schema", schema, *special, str(EXAMPLES / name)]
    )
    assert done.exit_code == 0, done.output


def test_no_fork_runs_on_our_own_machines() -> None:
    # `on` is read as true by YAML 1.1.
    assert set(GITHUB[True]) == {"pull_request"}, "pull_request_target would give forks our secrets"
    condition = "github.event.pull_request.head.repo.full_name == github.repository"
    for job in GITHUB["jobs"].values():
        assert job["if"] == condition
    checkout = STEPS["actions/checkout@v4"]["with"]
    assert checkout["persist-credentials"] is False
    assert checkout["sparse-checkout"] == "checkpoint.txt"


def scripts() -> Iterator[tuple[str, str]]:
    """Every shell text of both examples, by where it stands."""
    for name, step in STEPS.items():
        if "run" in step:
            yield f"github: {name}", step["run"]
    for part in ("before_script", "script", "after_script"):
        for number, text in enumerate(JOB[part]):
            yield f"gitlab: {part} {number}", text


@pytest.mark.parametrize(("place", "text"), scripts())
def test_every_script_is_sound_shell(place: str, text: str) -> None:
    shell = "bash" if place.startswith("github") else "sh"
    done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # What a pull request may choose must never be pasted into shell text.
    assert "${{" not in text


def checks() -> list[tuple[str, list[str]]]:
    """Every `featuredrift …` line of the examples, as arguments."""
    lines = [(p, line.strip()) for p, text in scripts() for line in text.splitlines()]
    return [(p, shlex.split(line)[1:]) for p, line in lines if line.startswith("featuredrift ")]


def nobody_at_home(arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command where no API is, and see that this is what it says."""
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, arguments, env={"FEATUREDRIFT_URL": "http://127.0.0.1:1"})
    assert done.exit_code == Exit.ERROR, done.output
    report = (folder / "gate.xml").read_text()
    assert "The API at http://127.0.0.1:1 does not answer" in report


def test_both_examples_ask_the_gate() -> None:
    assert [place for place, _ in checks()] == ["github: Ask the gate", "gitlab: script 2"]


@pytest.mark.parametrize(("place", "arguments"), checks())
def test_the_real_command_accepts_every_option(
    place: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets as far as to find nobody at home: its options, values and files were fine."""
    nobody_at_home(arguments, tmp_path, monkeypatch)
    written = {"gate.xml", "gate.md"}
    assert {path.name for path in tmp_path.iterdir()} == written
    assert set(STEPS["Keep the test report"]["with"]["path"].split()) == written
    assert set(JOB["artifacts"]["paths"]) == written
    assert JOB["artifacts"]["reports"]["junit"] in written


@pytest.mark.parametrize(("code", "ends"), [("0", 0), ("1", 1), ("2", 1), ("3", 1), ("", 1)])
def test_the_workflow_passes_on_a_pass_alone(code: str, ends: int) -> None:
    done = subprocess.run(["bash", "-e", "-c", STEPS["Decide"]["run"]], env={"CODE": code})
    assert done.returncode == ends


@pytest.mark.parametrize("answer", [0, 1, 2, 3])
def test_the_workflow_passes_the_exit_code_on(answer: int, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "featuredrift"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > seen\nexit {answer}\n')
    command.chmod(0o755)
    (tmp_path / "checkpoint.txt").write_text("v2; touch owned\ns3://bucket/$(touch owned)\n")
    subprocess.run(
        ["bash", "-e", "-c", STEPS["Ask the gate"]["run"]],
        cwd=tmp_path,
        env={
            "PATH": f"{command.parent}:{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "MODEL": "support-bot",
        },
        check=True,
    )
    assert (tmp_path / "output").read_text() == f"code={answer}\n"
    seen = (tmp_path / "seen").read_text().splitlines()
    assert seen[-4:] == [
        "--source=s3://bucket/$(touch owned)",
        "--",
        "support-bot",
        "v2; touch owned",
    ]
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(("place", "arguments"), checks())
@pytest.mark.parametrize("name", ["--help", "--url=http://127.0.0.1:2", "-h", ""])
def test_a_name_that_looks_like_an_option_is_a_name(
    place: str,
    arguments: list[str],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody_at_home([*arguments[:-1], name], tmp_path, monkeypatch)


def test_gitlab_lets_only_inconclusive_pass_with_a_warning() -> None:
    assert JOB["allow_failure"] == {"exit_codes": [int(Exit.INCONCLUSIVE)]}


def test_both_find_their_comment_by_the_line_that_the_command_writes() -> None:
    assert f'startswith("{MARKER}")' in STEPS["Put the answer into the pull request"]["run"]
    assert "body.splitlines()[0]" in JOB["after_script"][0]


@pytest.mark.parametrize("known", ["", "41"])
def test_the_pull_requests_comment_is_made_once_and_then_edited(known: str, tmp_path: Path) -> None:
    command = tmp_path / "gh"
    command.write_text(
        '#!/bin/sh\nprintf "%s " "$@" >> seen\necho >> seen\n'
        f'case "$*" in *--paginate*) printf "%s\\n" {known} ;; esac\n'
    )
    command.chmod(0o755)
    subprocess.run(
        [
            "bash",
            "-e",
            "-o",
            "pipefail",
            "-c",
            STEPS["Put the answer into the pull request"]["run"],
        ],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "REPOSITORY": "o/r", "NUMBER": "3"},
        check=True,
    )
    listed, sent = (tmp_path / "seen").read_text().splitlines()
    assert listed.startswith("api repos/o/r/issues/3/comments --paginate")
    edited = "-X PATCH repos/o/r/issues/comments/41"
    assert (
        sent.split()
        == f"api {edited if known else 'repos/o/r/issues/3/comments'} -F body=@gate.md".split()
    )


class GitLab(BaseHTTPRequestHandler):
    """The two requests of a merge request's notes."""

    notes: list[dict[str, Any]]
    seen: list[tuple[str, str, str | None]]

    def do_GET(self) -> None:
        self._answer(self.notes)

    def do_POST(self) -> None:
        self._answer({})

    def do_PUT(self) -> None:
        self._answer({})

    def _answer(self, value: Any) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        sent = json.loads(self.rfile.read(length) or "{}")
        self.seen.append((self.command, self.path, sent.get("body")))
        assert self.headers["PRIVATE-TOKEN"] == "token"
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.mark.parametrize("known", [False, True])
def test_the_merge_requests_comment_is_made_once_and_then_edited(
    known: bool, tmp_path: Path
) -> None:
    GitLab.seen = []
    GitLab.notes = [{"id": 5, "body": "hello"}]
    if known:
        GitLab.notes.append({"id": 7, "body": f"{MARKER}\nlast week"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), GitLab)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    text = f"{MARKER}\n### fail\n"
    (tmp_path / "gate.md").write_text(text)
    try:
        subprocess.run(
            ["sh", "-e", "-c", JOB["after_script"][0]],
            cwd=tmp_path,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "GITLAB_TOKEN": "token",
                "CI_MERGE_REQUEST_IID": "3",
                "CI_PROJECT_ID": "12",
                "CI_API_V4_URL": f"http://127.0.0.1:{server.server_port}/api/v4",
            },
            check=True,
        )
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
    base = "/api/v4/projects/12/merge_requests/3/notes"
    last = ("PUT", f"{base}/7", text) if known else ("POST", base, text)
    assert GitLab.seen == [("GET", f"{base}?per_page=100", None), last]
