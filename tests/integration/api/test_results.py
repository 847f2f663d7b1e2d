"""Evaluations, verdicts, histories and the gate, as a pipeline and a person ask for them."""

from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import update

from app.core.database import Database
from app.evaluations.tables import Evaluation
from app.main import create_app
from app.settings import Settings
from tests.support.api import (
    FEATURES,
    finish,
    monitor_body,
    post,
    register_checkpoint,
    verdict,
)

GATE = "/v1/models/bot/checkpoints/next/gate"


def test_previous_is_the_parent_else_the_one_before(line: TestClient, settings: Settings) -> None:
    def previous(name: str, **body: Any) -> str | None:
        (evaluation,) = register_checkpoint(line, settings, name, **body)["evaluations"]
        found: str | None = line.get(f"/v1/evaluations/{evaluation}").json()["previous"]
        return found

    assert previous("second") == "base"
    assert previous("third") == "second"
    assert previous("branch", parent="base") == "base"
    started = post(line, "/v1/evaluations", {"monitor": "watch", "checkpoint": "base"}, 202)
    assert (started["baseline"], started["previous"]) == ("base", None)


def test_the_baseline_is_what_the_alias_named_at_acceptance(
    line: TestClient, settings: Settings
) -> None:
    (first,) = register_checkpoint(line, settings, "next")["evaluations"]
    moved = line.put(
        "/v1/models/bot/aliases/baseline", json={"checkpoint": "next"}, headers={"If-Match": '"1"'}
    )
    assert moved.status_code == 200
    (second,) = register_checkpoint(line, settings, "later")["evaluations"]
    assert line.get(f"/v1/evaluations/{first}").json()["baseline"] == "base"
    assert line.get(f"/v1/evaluations/{second}").json()["baseline"] == "next"
    # What is asked now is another question than before, so it is another evaluation.
    again = post(line, "/v1/evaluations", {"monitor": "watch", "checkpoint": "next"}, 202)
    assert (again["baseline"], again["id"]) == ("next", again["id"])
    assert again["id"] != first


def test_a_monitor_that_cannot_start_is_named_and_the_checkpoint_is_kept(
    line: TestClient, settings: Settings
) -> None:
    post(line, "/v1/monitors", monitor_body(name="pinned", baseline={"checkpoint": "base"}))
    line.delete("/v1/models/bot/aliases/baseline", headers={"If-Match": '"1"'})
    accepted = register_checkpoint(line, settings, "next")
    assert len(accepted["evaluations"]) == 1
    (skipped,) = accepted["skipped"]
    assert (skipped["monitor"], skipped["code"]) == ("watch", "baseline_unresolved")
    reasons = line.get(GATE).json()["reasons"]
    assert [(reason["monitor"], reason["code"]) for reason in reasons] == [
        ("pinned", "evaluation_open"),
        ("watch", "not_evaluated"),
    ]
    assert "alias 'baseline'" in reasons[1]["detail"]


def test_a_disabled_monitor_neither_evaluates_nor_gates(
    line: TestClient, settings: Settings
) -> None:
    path = "/v1/monitors/watch"
    assert line.patch(path, json={"enabled": False}).status_code == 428
    changed = line.patch(path, json={"enabled": False}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert line.patch(path, json={"enabled": True}, headers={"If-Match": '"1"'}).status_code == 412
    register_checkpoint(line, settings, "next", expect=201)
    gate = line.get(GATE).json()
    assert (gate["gate"], gate["reasons"][0]["code"]) == ("inconclusive", "no_monitor")


def test_a_monitor_changes_field_by_field(line: TestClient) -> None:
    post(line, "/v1/feature-sets", {"name": "set", "features": FEATURES[1:2]})
    tag = {"If-Match": '"1"'}

    def refused(body: dict[str, Any]) -> str:
        response = line.patch("/v1/monitors/watch", json=body, headers=tag)
        assert response.status_code == 422, response.text
        field: str = response.json()["field"]
        return field

    assert refused({"enabled": None}) == "enabled"
    assert refused({"baseline": {"alias": "nobody"}}) == "baseline.alias"
    assert refused({"watchlist": ["nobody"]}) == "watchlist"
    assert refused({"corpus": "nobody"}) == "corpus"
    assert refused({"name": "other"}) == "name"
    body = {
        "description": "now described",
        "feature_set": {"name": "set", "version": 2},
        "policy": {"q": 0.1},
        "watchlist": ["up"],
    }
    changed = line.patch("/v1/monitors/watch", json=body, headers=tag).json()
    assert changed["feature_set"] == {"name": "set", "version": 2}
    assert (changed["policy"]["q"], changed["watchlist"]) == (0.1, ["up"])
    assert (changed["baseline"], changed["version"]) == ({"alias": "baseline"}, 2)


def test_without_a_watchlist_all_features_of_a_set_are_watched(line: TestClient) -> None:
    body = {
        "model": "bot",
        "corpus": "probes",
        "feature_set": {"name": "set"},
        "baseline": {"alias": "baseline"},
    }
    whole = post(line, "/v1/monitors", {"name": "whole", **body})
    assert whole["watchlist"] == sorted(f["name"] for f in FEATURES)
    again = line.post("/v1/monitors", json={"name": "whole", **body})
    assert (again.status_code, again.json()["id"]) == (200, whole["id"])
    none = post(line, "/v1/monitors", {"name": "none", "watchlist": [], **body})
    assert none["watchlist"] == []


def test_a_feature_set_grows_by_versions(line: TestClient) -> None:
    again = line.post("/v1/feature-sets", json={"name": "set", "features": FEATURES})
    assert (again.status_code, again.json()["version"]) == (200, 1)
    fewer = post(line, "/v1/feature-sets", {"name": "set", "features": FEATURES[:1]})
    assert fewer["version"] == 2
    versions = line.get("/v1/feature-sets/set/versions").json()["items"]
    assert [version["version"] for version in versions] == [2, 1]
    assert line.get("/v1/feature-sets/set").json()["latest_version"] == 2
    features = line.get("/v1/feature-sets/set/versions/1/features?limit=2").json()
    assert [feature["name"] for feature in features["items"]] == ["number", "up"]
    assert features["items"][1]["definition"]["vector"] == FEATURES[1]["vector"]
    rest = f"/v1/feature-sets/set/versions/1/features?cursor={features['next_cursor']}"
    assert [feature["name"] for feature in line.get(rest).json()["items"]] == ["both"]


def test_concepts_that_the_corpus_does_not_label_are_told(line: TestClient) -> None:
    feature = {**FEATURES[0], "concept": "colour"}
    post(line, "/v1/feature-sets", {"name": "colours", "features": [feature]})
    monitor = post(line, "/v1/monitors", monitor_body(name="m", feature_set={"name": "colours"}))
    assert monitor["unlabelled_concepts"] == ["colour"]
    assert line.get("/v1/monitors/watch").json()["unlabelled_concepts"] == []
    named = [monitor["name"] for monitor in line.get("/v1/monitors?model=bot").json()["items"]]
    assert named == ["m", "watch"]


def test_cancel_and_retry(line: TestClient, settings: Settings) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    path = f"/v1/evaluations/{evaluation}"
    early = line.post(f"{path}:retry")
    assert (early.status_code, early.json()["code"]) == (409, "evaluation_not_retryable")
    cancelled = line.post(f"{path}:cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert line.get(GATE).json()["reasons"][0]["code"] == "evaluation_cancelled"
    twice = line.post(f"{path}:cancel")
    assert (twice.status_code, twice.json()["code"]) == (409, "evaluation_ended")
    retried = line.post(f"{path}:retry")
    assert (retried.status_code, retried.json()["state"]) == (202, "queued")
    assert retried.headers["Location"] == path
    assert line.get("/v1/evaluations?state=queued&monitor=watch").json()["items"][0]["id"] == (
        evaluation
    )
    assert line.get("/v1/evaluations?state=cancelled").json()["items"] == []


def test_a_failed_evaluation_says_why(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    error = {"code": "source_missing", "detail": "the checkpoint's directory is gone"}
    with database.unit_of_work() as session:
        session.execute(update(Evaluation).values(state="failed", error=error))
    assert line.get(f"/v1/evaluations/{evaluation}").json()["error"] == error
    gate = line.get(GATE).json()
    assert (gate["gate"], gate["reasons"][0]["code"]) == ("inconclusive", "evaluation_failed")
    assert "directory is gone" in gate["reasons"][0]["detail"]


def test_verdicts_are_filtered_sorted_and_paged(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    rows = [
        verdict("a", "stable", effect=0.01, drift_score=0.5),
        verdict("b", "drifted", effect=-0.8, change="identity", changes=["identity"]),
        verdict("c", "drifted", effect=0.4, change="dead", changes=["dead"], drift_score=0.9),
        verdict("d", "insufficient", effect=None, margin=None, estimand=None),
        verdict("e", "drifted", effect=0.4, comparison="previous", diagnosis="rotated"),
        verdict("e", "stable", effect=0.0),
    ]
    with database.unit_of_work() as session:
        finish(session, evaluation, rows)

    def names(query: str) -> list[str]:
        found, cursor = [], ""
        while True:
            path = f"/v1/evaluations/{evaluation}/verdicts?{query}{cursor}"
            page = line.get(path).json()
            found += [item["feature"] for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    for limit in (1, 2, 500):
        assert names(f"limit={limit}") == ["b", "c", "e", "a", "e", "d"]
        assert names(f"limit={limit}&sort=feature") == ["a", "b", "c", "d", "e", "e"]
        assert names(f"limit={limit}&sort=drift_score") == ["c", "a", "b", "d", "e", "e"]
    assert names("verdict=drifted&comparison=baseline") == ["b", "c"]
    assert names("verdict=stable&verdict=insufficient&sort=feature") == ["a", "d", "e"]
    assert names("change=dead") == ["c"]
    assert names("diagnosis=rotated") == ["e"]
    assert names("feature=a&feature=d") == ["a", "d"]
    assert line.get(f"/v1/evaluations/{evaluation}/verdicts?verdict=fine").status_code == 422


def test_a_feature_is_followed_over_checkpoints_and_versions(
    line: TestClient, settings: Settings, database: Database
) -> None:
    def judged(name: str, version: int, word: str) -> str:
        (evaluation,) = register_checkpoint(line, settings, name)["evaluations"]
        features = line.get(f"/v1/feature-sets/set/versions/{version}").json()["features"]
        identity: str = next(item["id"] for item in features if item["name"] == "up")
        with database.unit_of_work() as session:
            sides = ("baseline", "previous")
            rows = [verdict("up", word, comparison=side, feature_id=identity) for side in sides]
            finish(session, evaluation, rows)
        return identity

    first = judged("second", 1, "stable")
    post(line, "/v1/feature-sets", {"name": "set", "features": FEATURES[1:2]})
    body = {"feature_set": {"name": "set", "version": 2}}
    line.patch("/v1/monitors/watch", json=body, headers={"If-Match": '"1"'})
    second = judged("third", 2, "drifted")
    assert first != second
    for feature in (first, second):
        items = line.get(f"/v1/features/{feature}/history").json()["items"]
        assert [
            (item["checkpoint"], item["feature_set_version"], item["verdict"]["comparison"])
            for item in items
        ] == [
            ("third", 2, "baseline"),
            ("third", 2, "previous"),
            ("second", 1, "baseline"),
            ("second", 1, "previous"),
        ]
    page = line.get(f"/v1/features/{first}/history?limit=3").json()
    rest = line.get(f"/v1/features/{first}/history?cursor={page['next_cursor']}").json()
    assert [item["verdict"]["verdict"] for item in page["items"] + rest["items"]] == [
        *("drifted", "drifted", "stable", "stable")
    ]
    only = line.get(f"/v1/features/{first}/history?comparison=previous&monitor=watch").json()
    assert len(only["items"]) == 2
    for asked in ("", "&comparison=previous", "&monitor=watch"):
        history = line.get(f"/v1/features/{first}/history?limit=9{asked}").json()["items"]
        points = line.get(f"/v1/features/{first}/series?limit=9{asked}").json()["items"]
        assert points == [
            {name: (item | item["verdict"])[name] for name in points[0]}
            | {"verdict": item["verdict"]["verdict"]}
            for item in history
        ]
    page = line.get(f"/v1/features/{first}/series?limit=3").json()
    rest = line.get(f"/v1/features/{first}/series?cursor={page['next_cursor']}").json()
    assert [point["checkpoint"] for point in page["items"] + rest["items"]] == [
        *("third", "third", "second", "second")
    ]
    assert rest["next_cursor"] is None
    assert line.get(f"/v1/features/{first}").json()["name"] == "up"


def test_sources_that_only_a_worker_can_read_are_accepted(
    line: TestClient, settings: Settings
) -> None:
    body = {"name": "remote", "source": "s3://bucket/step-4000"}
    accepted = post(line, "/v1/models/bot/checkpoints", body, 202)
    assert accepted["weights_digest"] is None
    dictionary = {"name": "r", "source": "s3://bucket/sae", "site": "blocks.0.hook_mlp_out"}
    assert post(line, "/v1/dictionaries", dictionary)["d_sae"] is None
    hub = settings.model_copy(update={"allow_hub": True})
    with TestClient(create_app(hub)) as client:
        body = {"name": "hub", "source": "hf://owner/name", "revision": "main"}
        post(client, "/v1/models/bot/checkpoints", body, 202)
        release = {"name": "h", "site": "blocks.0.hook_mlp_out", "release": "r", "sae_id": "l0"}
        created = post(client, "/v1/dictionaries", release)
        assert created["digest"] is None
        assert client.post("/v1/dictionaries", json=release).status_code == 200
        moved = client.post("/v1/dictionaries", json={**release, "sae_id": "l1"})
        assert (moved.status_code, moved.json()["field"]) == (409, "sae_id")
