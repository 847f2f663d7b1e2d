"""How a report is asked for and answered, by HTTP and by the command."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from app.cli import app as cli
from app.core.ids import new_id
from app.reports.html import LIMIT
from tests.integration.reports.conftest import Line
from tests.integration.reports.reading import SCHEMA


def test_the_form_is_negotiated(client: TestClient, judged: Line) -> None:
    path = f"/v1/evaluations/{judged.evaluations['drifted']}/report"
    for accept, media_type in (
        ("*/*", "application/json"),
        ("text/markdown", "text/markdown; charset=utf-8"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json;q=0.1, text/*;q=0.2", "text/markdown; charset=utf-8"),
    ):
        response = client.get(path, headers={"Accept": accept})
        assert response.headers["content-type"] == media_type
        assert response.headers["vary"] == "Accept"
    refused = client.get(path, headers={"Accept": "image/png"})
    assert refused.status_code == 406
    assert refused.json()["code"] == "not_acceptable"
    unknown = client.get(f"/v1/evaluations/{new_id()}/report.html")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_evaluation")


def test_it_is_kept_by_its_digest_and_safe_in_a_browser(client: TestClient, judged: Line) -> None:
    path = f"/v1/evaluations/{judged.evaluations['drifted']}/report.html"
    response = client.get(path)
    assert len(response.content) <= LIMIT
    tag = response.headers["etag"]
    assert client.get(path, headers={"If-None-Match": f'"other", W/{tag}'}).status_code == 304
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_schema_is_served(client: TestClient) -> None:
    served = client.get("/v1/schemas/report-1.json").json()
    assert served == json.loads(SCHEMA.read_text())
    assert served["$id"] == "urn:featuredrift:schema:report-1"


@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_the_command_writes_what_the_api_answers(
    client: TestClient, judged: Line, api_url: str, tmp_path: Path, form: str
) -> None:
    identity = str(judged.evaluations["drifted"])
    file = tmp_path / f"report.{form}"
    done = _command(identity, "--out", str(file), url=api_url)
    assert done.exit_code == 0, done.output
    wanted = client.get(f"/v1/evaluations/{identity}/report.{form}").content
    assert file.read_bytes() == wanted
    # The server of this process logs to the same stream.
    assert wanted in _command(identity, "--format", form, url=api_url).stdout_bytes


def test_the_command_says_what_is_wrong(api_url: str, judged: Line, tmp_path: Path) -> None:
    unknown = _command(str(new_id()), url=api_url)
    assert unknown.exit_code == 1
    assert "there is no evaluation" in unknown.output
    place = tmp_path / "no" / "x.md"
    nowhere = _command(str(judged.evaluations["failed"]), "--out", str(place), url=api_url)
    assert nowhere.exit_code == 1
    assert "cannot write" in nowhere.output
    assert "Traceback" not in unknown.output + nowhere.output


def _command(*arguments: str, url: str) -> Result:
    return CliRunner().invoke(cli, ["report", *arguments, "--url", url])
