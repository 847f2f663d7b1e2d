"""What reports say of what real workers found: stable, drifted, untrusted, invalid, unfinished."""

import pytest
from fastapi.testclient import TestClient

from app.core.ids import new_id
from app.evaluations.tables import Evaluation
from tests.integration.reports.conftest import Line
from tests.integration.reports.reading import by_name, read


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
