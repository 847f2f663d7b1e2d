"""Reports on what real workers found: stable, drifted, untrusted, invalid, failed, unfinished."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from sqlalchemy import update

from app.core.artifacts import ArtifactStore
from app.core.ids import new_id
from app.embedded.environment import child_environment
from app.evaluations.tables import Evaluation
from app.repairs import service as repairs
from app.repairs.schemas import Decision
from app.repairs.tables import Repair
from app.reports.html import LIMIT, render_html
from app.reports.json import render_json
from app.reports.kept import PROGRAM
from app.reports.markdown import render_markdown
from app.reports.view import build_report
from app.retention.layout import units
from app.retention.references import unreferred
from tests.integration.reports.conftest import Line

SCHEMA = Path(__file__).parents[3] / "docs/schemas/report-1.json"
_RENDER = """
import sys
from uuid import UUID
from app.core.artifacts import ArtifactStore
from app.core.database import Database, make_engine
from app.reports.html import render_html
from app.reports.json import render_json
from app.reports.markdown import render_markdown
from app.reports.view import build_report
from app.settings import get_settings

settings = get_settings()
database = Database(make_engine(settings, application="tests"))
with database.unit_of_work() as session:
    report = build_report(session, ArtifactStore(settings.artifacts), UUID(sys.argv[1]))
for render in (render_json, render_markdown, render_html):
    sys.stdout.buffer.write(render(report))
"""


def read(client: TestClient, judged: Line, name: str) -> dict[str, Any]:
    """The JSON form, which keeps to the published schema."""
    response = client.get(f"/v1/evaluations/{judged.evaluations[name]}/report.json")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(found)
    return found


def by_name(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {feature["name"]: feature for feature in report["features"]}


def test_a_stable_checkpoint_passes_with_its_proof(client: TestClient, judged: Line) -> None:
    report = read(client, judged, "stable")
    assert report["headline"]["outcome"] == "pass"
    assert "all 6 features are shown to be stable" in report["headline"]["sentence"]
    assert set(report["stable"]) == set(by_name(report))
    assert report["answers"]["what_broke"] == ["Nothing was found broken."]
    assert report["answers"]["what_needs_intervention"] == ["Nothing at this checkpoint."]
    left_out = [c["control"] for c in report["controls"] if c["outcome"] == "left_out"]
    assert "randomised_model" in left_out
    for feature in report["features"]:
        assert feature["estimates"]
        assert {e["finding"] for e in feature["estimates"]} == {"within"}
        assert {p["kind"] for p in feature["passages"]} <= {"strongest"}


def test_a_drifted_checkpoint_is_told_with_all_its_evidence(
    client: TestClient, judged: Line
) -> None:
    report = read(client, judged, "drifted")
    assert report["headline"]["outcome"] == "fail"
    assert report["headline"]["sentence"].startswith("Fail: 4 of 6 features have drifted")
    assert set(report["drifted"]) == {"composite", "direction", "latent", "neuron"}
    assert [c["comparison"] for c in report["comparisons"]] == ["baseline", "previous"]
    direction = by_name(report)["direction"]
    assert direction["paged"]
    assert direction["diagnosis"]["label"] == "rotated"
    assert direction["repair"]["old"] == "direction of 16 numbers at blocks.1.hook_resid_post"
    assert all(line["finding"] == "within" for line in direction["repair"]["held_out"])
    assert direction["step"]["verdict"] == "drifted"
    assert direction["robustness"]
    assert {"changed", "strongest"} == {p["kind"] for p in direction["passages"]}
    assert direction["trend"]["checkpoints"] == 2
    latent = by_name(report)["latent"]
    assert latent["causal"]["verdict"] in ("causal", "correlational", "not_shown")
    urgencies = [one["urgency"] for one in report["interventions"]]
    assert urgencies[0] == "now"
    assert urgencies == sorted(urgencies, key=["now", "decide", "mend", "plan"].index)
    accept = f"$API/repairs/{report['repair']['repair']}:accept"
    assert any(accept in call for one in report["interventions"] for call in one["calls"])


def test_an_untrusted_feature_has_its_reason_and_no_claim(client: TestClient, judged: Line) -> None:
    report = read(client, judged, "calm")
    assert report["headline"]["outcome"] == "inconclusive"
    assert {"probe", "latent-of-comments"} <= set(report["unjudged"])
    probe = by_name(report)["probe"]
    assert probe["verdict"] == "untrusted"
    failed = [c for c in probe["controls"] if c["outcome"] == "failed"]
    assert [c["control"] for c in failed] == ["random_features"]
    assert any(one["about"] == "definition" for one in probe["monitoring"])
    control = next(c for c in report["controls"] if c["control"] == "random_features")
    assert control["outcome"] == "failed"
    assert "probe" in control["failed_for"]
    assert any("Not to be trusted" in line for line in report["answers"]["what_to_trust"])


def test_what_is_invalid_says_why(client: TestClient, judged: Line) -> None:
    report = read(client, judged, "invalid")
    latent = by_name(report)["latent"]
    assert latent["verdict"] == "invalid"
    assert "variance unexplained" in latent["reason"]
    assert "latent" in report["unjudged"]
    assert any("unexplained" in line for line in report["answers"]["what_broke"])


def test_a_whole_dictionary_is_reported_by_its_latents(client: TestClient, judged: Line) -> None:
    report = read(client, judged, "whole")
    assert report["subject"]["feature_set"] is None
    assert report["comparisons"][0]["features"] == 24
    assert len(report["features"]) == 24
    assert by_name(report)["latent-3"]["definition"].startswith("latent 3 of dictionary")
    assert report["left_out"] == 0


def test_a_failed_evaluation_says_what_to_do(client: TestClient, judged: Line) -> None:
    report = read(client, judged, "failed")
    assert report["headline"]["outcome"] == "inconclusive"
    assert "never-there" in report["headline"]["sentence"]
    assert report["features"] == report["controls"] == []
    (one,) = report["interventions"]
    assert one["urgency"] == "mend"
    assert one["calls"] == [f'curl -X POST "$API/evaluations/{judged.evaluations["failed"]}:retry"']


@pytest.mark.parametrize("state", ["queued", "running", "cancelled"])
def test_an_unfinished_evaluation_has_a_report_too(
    client: TestClient, judged: Line, state: str
) -> None:
    with judged.world.database.unit_of_work() as session:
        like = session.get_one(Evaluation, judged.evaluations["stable"])
        row = Evaluation(
            id=new_id(),
            monitor_id=like.monitor_id,
            checkpoint_id=like.checkpoint_id,
            baseline_checkpoint_id=like.baseline_checkpoint_id,
            corpus_id=like.corpus_id,
            feature_set_version_id=like.feature_set_version_id,
            policy=like.policy,
            inputs_digest=new_id().hex,
            state=state,
        )
        session.add(row)
        session.flush()
        identity = row.id
    for suffix in ("json", "md", "html"):
        response = client.get(f"/v1/evaluations/{identity}/report.{suffix}")
        assert response.status_code == 200, response.text
        assert (state in response.text) or state == "queued"
    report = client.get(f"/v1/evaluations/{identity}/report").json()
    expected = "inconclusive" if state == "cancelled" else "pending"
    assert report["headline"]["outcome"] == expected
    with judged.world.database.unit_of_work() as session:
        session.delete(session.get_one(Evaluation, identity))


def test_histories_stop_at_the_evaluation(client: TestClient, judged: Line) -> None:
    later = by_name(read(client, judged, "drifted"))["direction"]
    assert [line["verdict"] for line in later["history"]] == ["stable"]
    assert later["history"][0]["evaluation"] == str(judged.evaluations["calm"])
    assert later["history"][0]["same_definition"]
    earlier = by_name(read(client, judged, "calm"))["direction"]
    assert earlier["history"] == []


@pytest.mark.parametrize("name", ["drifted", "calm", "whole", "failed"])
def test_two_processes_give_the_same_bytes(judged: Line, name: str) -> None:
    identity = str(judged.evaluations[name])
    rendered = []
    for seed in ("1", "2"):
        environment = child_environment(judged.world.settings) | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", _RENDER, identity],
            env=environment,
            capture_output=True,
            check=True,
        )
        rendered.append(done.stdout)
    assert rendered[0] == rendered[1]
    assert len(rendered[0]) > 1000


def test_later_evaluations_change_no_byte(client: TestClient, judged: Line) -> None:
    before = rendered(judged, judged.evaluations["calm"])
    checkpoints, world = judged.checkpoints, judged.world
    again = world.evaluate(judged.monitor, checkpoints["rotated"], checkpoints["base"])
    assert world.wait(again, timeout=240).state == "succeeded"
    assert rendered(judged, judged.evaluations["calm"]) == before
    history = by_name(client.get(f"/v1/evaluations/{again}/report").json())["direction"]["history"]
    assert len(history) == 2


def test_a_decision_on_its_repair_changes_no_byte(client: TestClient, judged: Line) -> None:
    identity = judged.evaluations["drifted"]
    before = rendered(judged, identity)
    repair = json.loads(before["json"])["repair"]["repair"]
    with judged.world.database.unit_of_work() as session:
        repairs.accept(session, repair, Decision(by="ada", note="read it"))
    try:
        assert rendered(judged, identity) == before
        shown = client.get(f"/v1/repairs/{repair}").json()
        assert (shown["state"], shown["decided_by"]) == ("accepted", "ada")
    finally:
        with judged.world.database.unit_of_work() as session:
            session.execute(
                update(Repair)
                .where(Repair.id == repair)
                .values(
                    state="proposed",
                    decided_at=None,
                    decided_by=None,
                    note=None,
                    feature_set_version_id=None,
                )
            )


def rendered(judged: Line, identity: UUID) -> dict[str, bytes]:
    """The three forms as they are rendered now, whatever is kept."""
    with judged.world.database.unit_of_work() as session:
        report = build_report(session, judged.world.store, identity)
    return {"json": render_json(report), "md": render_markdown(report), "html": render_html(report)}


@pytest.mark.parametrize("form", ["json", "md", "html"])
def test_a_report_is_rendered_once_and_kept(client: TestClient, judged: Line, form: str) -> None:
    identity, store = judged.evaluations["whole"], judged.world.store
    folder, path = f"evaluations/{identity}", f"/v1/evaluations/{identity}/report.{form}"
    old = f"{folder}/report-0123456789abcdef.{form}"
    store.write_bytes(old, b"of another release")
    first = client.get(path).content
    key = f"{folder}/report-{PROGRAM}.{form}"
    assert store.read_bytes(key) == first == rendered(judged, identity)[form]
    if store.exists(old):
        # It was kept before this test: another release's goes when this one's is written.
        store.delete_keys([key])
        assert client.get(path).content == first
    assert not store.exists(old)
    assert store.read_bytes(key) == first
    store.write_bytes(key, b"kept")
    assert client.get(path).content == b"kept"
    store.delete_keys([key])
    assert client.get(path).content == first


def test_a_store_that_takes_nothing_costs_no_report(
    client: TestClient, judged: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = judged.evaluations["whole"]
    key = f"evaluations/{identity}/report-{PROGRAM}.md"
    judged.world.store.delete_keys([key])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ArtifactStore, "write_bytes", full)
        answered = client.get(f"/v1/evaluations/{identity}/report.md")
    assert answered.status_code == 200
    assert not judged.world.store.exists(key)


def test_what_is_written_while_the_corpus_is_away_is_not_kept(
    client: TestClient, judged: Line
) -> None:
    identity, store = judged.evaluations["drifted"], judged.world.store
    key, path = f"evaluations/{identity}/report-{PROGRAM}.md", f"/v1/evaluations/{identity}/report"
    whole = client.get(f"{path}.md").content
    (documents,) = [one.key for one in store.objects("corpora") if one.key.endswith(".jsonl")]
    content = store.read_bytes(documents)
    store.delete_keys([key, documents])
    try:
        assert b"not in the artifact store any more" in client.get(f"{path}.md").content
        assert not store.exists(key)
    finally:
        store.write_bytes(documents, content)
    assert client.get(f"{path}.md").content == whole
    assert store.read_bytes(key) == whole


def test_what_has_not_succeeded_is_not_kept(client: TestClient, judged: Line) -> None:
    identity = judged.evaluations["failed"]
    assert client.get(f"/v1/evaluations/{identity}/report.html").status_code == 200
    assert judged.world.store.objects(f"evaluations/{identity}") == []


def test_kept_reports_are_known_to_the_collector(client: TestClient, judged: Line) -> None:
    identity = judged.evaluations["whole"]
    for form in ("json", "md", "html"):
        client.get(f"/v1/evaluations/{identity}/report.{form}")
    found, unknown = units(judged.world.store.objects(f"evaluations/{identity}"))
    assert unknown == []
    assert [unit.kind for unit in found].count("report") == 3
    with judged.world.database.unit_of_work() as session:
        assert unreferred(session, found) == []


NUMBERS = ("verdict", "change", "changes", "estimates", "p_drifted", "q_drifted", "q_stable")
OWN_PAST = ("page_lower", "page_upper")
"""Of a monitor's own page budget, which a second monitor has another share of."""


@pytest.mark.parametrize("name", ["calm", "whole"])
def test_the_commands_of_the_foot_reproduce_the_numbers(
    client: TestClient, judged: Line, api_url: str, tmp_path: Path, name: str
) -> None:
    report = read(client, judged, name)
    again, monitor, evaluation = report["provenance"]["reproduce"]
    environment = dict(os.environ) | {"API": f"{api_url}/v1", "FEATUREDRIFT_URL": api_url}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(again)
    wanted = client.get(f"/v1/evaluations/{judged.evaluations[name]}/report.html").content
    assert (tmp_path / "report.html").read_bytes() == wanted
    assert "id" in json.loads(run(monitor))
    started = UUID(json.loads(run(evaluation))["id"])
    assert started != judged.evaluations[name]
    assert judged.world.wait(started, timeout=240).state == "succeeded"
    anew = client.get(f"/v1/evaluations/{started}/report.json").json()
    assert anew["provenance"]["policy"] == report["provenance"]["policy"]
    digests = ("corpus_digest", "feature_set_digest", "features_digest", "dictionaries")
    for sides in (anew, report):
        sides["provenance"]["sides"] = [
            side for side in sides["provenance"]["sides"] if side["role"] != "previous"
        ]
    assert anew["provenance"]["sides"] == report["provenance"]["sides"]
    for one in digests:
        assert anew["provenance"][one] == report["provenance"][one]
    for before, after in zip(report["features"], anew["features"], strict=True):
        assert before["name"] == after["name"]
        for field in NUMBERS:
            assert _numbers(after[field]) == _numbers(before[field]), (before["name"], field)


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    if isinstance(value, dict):
        return {key: entry for key, entry in value.items() if key not in OWN_PAST}
    return value


def test_passages_that_are_gone_are_told(judged: Line) -> None:
    key = f"evaluations/{judged.evaluations['whole']}/baseline.passages.json"
    kept = judged.world.store.read_bytes(key)
    judged.world.store.delete_keys([key])
    try:
        report = json.loads(rendered(judged, judged.evaluations["whole"])["json"])
        assert all(not feature["passages"] for feature in report["features"])
        assert "no passages" in report["features"][0]["passages_missing"]
    finally:
        judged.world.store.write_bytes(key, kept)


def test_every_digest_is_in_the_foot(client: TestClient, judged: Line) -> None:
    report = read(client, judged, "drifted")
    foot = report["provenance"]
    sides = {side["role"]: side for side in foot["sides"]}
    assert set(sides) == {"baseline", "previous", "candidate"}
    digests = [
        *(side[name] for side in sides.values() for name in ("weights_digest", "snapshot_key")),
        foot["corpus_digest"],
        foot["features_digest"],
        *foot["dictionaries"].values(),
        *foot["snapshots"].values(),
    ]
    text = client.get(f"/v1/evaluations/{judged.evaluations['drifted']}/report.html").text
    markdown = client.get(f"/v1/evaluations/{judged.evaluations['drifted']}/report.md").text
    for digest in digests:
        assert digest
        assert digest in text
        assert digest in markdown
    assert foot["libraries"]["torch"]
    assert foot["seed"] == 0
    assert foot["page_share"]["alpha"] > 0


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
    assert done.returncode == 0, done.stderr
    wanted = client.get(f"/v1/evaluations/{identity}/report.{form}").content
    assert file.read_bytes() == wanted
    assert _command(identity, "--format", form, url=api_url).stdout == wanted


def test_the_command_says_what_is_wrong(api_url: str, judged: Line, tmp_path: Path) -> None:
    unknown = _command(str(new_id()), url=api_url)
    assert unknown.returncode == 1
    assert b"there is no evaluation" in unknown.stderr
    nowhere = _command(
        str(judged.evaluations["failed"]), "--out", str(tmp_path / "no" / "x.md"), url=api_url
    )
    assert nowhere.returncode == 1
    assert b"cannot write" in nowhere.stderr
    assert b"Traceback" not in unknown.stderr + nowhere.stderr


def _command(*arguments: str, url: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "report", *arguments, "--url", url],
        capture_output=True,
        env=dict(os.environ),
        timeout=120,
    )
