"""Repairs: proposed by a worker, read, accepted or rejected by a person, and remembered."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.access.audit_tables import AuditEvent
from app.core.artifacts import ArtifactStore
from app.core.database import Database
from app.core.errors import InvalidInputError
from app.core.ids import new_id
from app.registry.tables import FeatureSetVersion
from app.repairs.schemas import ProposedDictionary
from app.repairs.writing import replace_proposal, store_dictionary
from app.settings import Settings
from tests.support.api import (
    FEATURES,
    SITE,
    make_dictionary,
    monitor_body,
    post,
    register_checkpoint,
    register_line,
)

ADA = {"by": "ada", "note": "the rotation was announced"}
NEW_UP = {"kind": "direction", "name": "up", "site": SITE, "vector": [0.0, 1.5] + [0.0] * 6}


@pytest.fixture
def evaluation(client: TestClient, settings: Settings) -> UUID:
    """An evaluation of the monitor `watch`, which watches version 1 of `set`."""
    register_line(client, settings)
    (identity,) = register_checkpoint(client, settings, "next")["evaluations"]
    return UUID(identity)


@pytest.fixture
def store(settings: Settings) -> ArtifactStore:
    return ArtifactStore(settings.artifacts)


def change(feature: str = "up", **fields: Any) -> dict[str, Any]:
    by_name = {item["name"]: item for item in FEATURES}
    return {
        "feature": feature,
        "old": by_name[feature],
        "new": NEW_UP,
        "diagnosis": "rotated",
        "reason": "equivalent again after a rotation",
        "evidence": {"documents": 60, "identity": {"effect": 0.01, "p": float("nan")}},
    } | fields


def realigned(store: ArtifactStore, folder: Path) -> ProposedDictionary:
    make_dictionary(folder, d_sae=48)
    name = "layer-1-realigned-0123"
    return store_dictionary(store, folder, name=name, site=SITE, replaces="layer-1")


def propose(
    database: Database,
    evaluation: UUID,
    *,
    features: Sequence[dict[str, Any]] | None = None,
    changes: Sequence[dict[str, Any]] | None = None,
    dictionaries: Sequence[ProposedDictionary] = (),
    comparison: str = "baseline",
) -> str | None:
    """The proposal's id."""
    with database.unit_of_work() as session:
        repair = replace_proposal(
            session,
            evaluation,
            comparison,
            changes=[change()] if changes is None else changes,
            features=[FEATURES[0], NEW_UP, FEATURES[2]] if features is None else features,
            dictionaries=dictionaries,
        )
        return str(repair.id) if repair is not None else None


def count(session: Session, table: Any) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_proposal_is_read_accepted_once_and_remembered(
    client: TestClient, database: Database, evaluation: UUID, store: ArtifactStore, tmp_path: Path
) -> None:
    dictionary = realigned(store, tmp_path / "new")
    latent = {**FEATURES[0], "dictionary": dictionary.name, "index": 40}
    repair = propose(
        database,
        evaluation,
        features=[latent, NEW_UP, FEATURES[2]],
        changes=[change("number", new=latent), change("up")],
        dictionaries=[dictionary],
    )

    read = client.get(f"/v1/repairs/{repair}").json()
    assert (read["state"], read["monitor"], read["checkpoint"]) == ("proposed", "watch", "next")
    assert read["base"] == {"name": "set", "version": 1}
    assert read["changed"] == [
        {"feature": "number", "diagnosis": "rotated"},
        {"feature": "up", "diagnosis": "rotated"},
    ]
    assert read["changes"][1]["old"] == FEATURES[1]
    assert read["changes"][1]["evidence"]["identity"] == {"effect": 0.01, "p": None}
    assert [feature["name"] for feature in read["features"]] == ["number", "up", "both"]
    assert client.get("/v1/feature-sets/set").json()["latest_version"] == 1
    assert client.get(f"/v1/dictionaries/{dictionary.name}").status_code == 404

    first = client.post(f"/v1/repairs/{repair}:accept", json=ADA)
    assert first.status_code == 200, first.text
    answer = first.json()
    assert (answer["state"], answer["decided_by"]) == ("accepted", "ada")
    assert answer["published"] == {"name": "set", "version": 2}
    version = client.get("/v1/feature-sets/set/versions/2").json()
    assert answer["feature_set_version"] == version
    listed = client.get("/v1/feature-sets/set/versions/2/features").json()["items"]
    assert listed[1]["definition"]["vector"] == NEW_UP["vector"]
    registered = client.get(f"/v1/dictionaries/{dictionary.name}").json()
    assert registered["source"] == f"artifact:dictionaries/{dictionary.digest}"
    assert (registered["d_sae"], registered["digest"]) == (48, dictionary.digest)

    again = client.post(f"/v1/repairs/{repair}:accept", json={"by": "bob"})
    assert (again.status_code, again.json()) == (200, answer)
    (event,) = client.get("/v1/audit-events?subject_kind=repair").json()["items"]
    assert (event["actor"], event["action"], event["subject_id"]) == (
        *("ada", "repair.accepted"),
        repair,
    )
    assert event["detail"]["version"] == 2
    assert event["detail"]["dictionaries"] == {dictionary.name: dictionary.digest}

    # Nothing watches the new version before somebody says so.
    monitor = client.get("/v1/monitors/watch")
    assert monitor.json()["feature_set"] == {"name": "set", "version": 1}
    moved = client.patch(
        "/v1/monitors/watch",
        json={"feature_set": {"name": "set", "version": 2}, "baseline": {"checkpoint": "next"}},
        headers={"If-Match": monitor.headers["ETag"]},
    )
    assert moved.status_code == 200, moved.text


def test_a_decision_stands(client: TestClient, database: Database, evaluation: UUID) -> None:
    rejected = propose(database, evaluation)
    accepted = propose(database, evaluation, comparison="previous")
    answer = client.post(f"/v1/repairs/{rejected}:reject", json=ADA)
    assert (answer.status_code, answer.json()["state"]) == (200, "rejected")
    assert answer.json()["feature_set_version"] is None
    assert client.post(f"/v1/repairs/{rejected}:reject", json=ADA).json() == answer.json()
    assert client.post(f"/v1/repairs/{accepted}:accept", json=ADA).status_code == 200
    for refused in (f"{rejected}:accept", f"{accepted}:reject"):
        problem = client.post(f"/v1/repairs/{refused}", json=ADA)
        assert (problem.status_code, problem.json()["code"]) == (409, "repair_decided")
    decided = client.get("/v1/audit-events?subject_kind=repair").json()["items"]
    actions = [event["action"] for event in decided]
    assert actions == ["repair.accepted", "repair.rejected"]
    # A worker that evaluates again leaves what was decided alone.
    assert propose(database, evaluation, changes=[]) == rejected
    assert propose(database, evaluation, comparison="previous", changes=[]) == accepted


def test_a_proposal_made_anew_has_a_new_id(
    client: TestClient, database: Database, evaluation: UUID
) -> None:
    first = propose(database, evaluation)
    assert propose(database, evaluation) == first
    other = {**NEW_UP, "vector": [1.0] * 8}
    second = propose(
        database,
        evaluation,
        features=[FEATURES[0], other, FEATURES[2]],
        changes=[change(new=other)],
    )
    assert second != first
    answer = client.post(f"/v1/repairs/{first}:accept", json=ADA)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_repair")
    assert propose(database, evaluation, changes=[]) is None
    assert client.get("/v1/repairs").json()["items"] == []


def test_two_acceptances_at_once_publish_one_version(
    client: TestClient, database: Database, evaluation: UUID
) -> None:
    repair = propose(database, evaluation)
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda _: client.post(f"/v1/repairs/{repair}:accept", json=ADA), range(6))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    with database.unit_of_work() as session:
        assert count(session, FeatureSetVersion) == 2
        actions = session.scalars(select(AuditEvent.action)).all()
        assert actions.count("repair.accepted") == 1


def test_an_idempotency_key_replays_the_answer(
    client: TestClient, database: Database, evaluation: UUID
) -> None:
    path = f"/v1/repairs/{propose(database, evaluation)}:accept"
    headers = {"Idempotency-Key": "k"}
    first = client.post(path, json=ADA, headers=headers)
    again = client.post(path, json=ADA, headers=headers)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert client.post(path, json={"by": "bob"}, headers=headers).status_code == 422


def test_a_repair_of_a_whole_dictionary_registers_it_alone(
    client: TestClient,
    settings: Settings,
    database: Database,
    evaluation: UUID,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    body = monitor_body(name="whole", dictionary="layer-1")
    del body["feature_set"]
    post(client, "/v1/monitors", body)
    started = register_checkpoint(client, settings, "third")
    identities = {
        client.get(f"/v1/evaluations/{identity}").json()["monitor"]: UUID(identity)
        for identity in started["evaluations"]
    }
    dictionary = realigned(store, tmp_path / "new")
    changes = [change() | {"feature": "latent-3", "old": None, "new": None}]
    with pytest.raises(InvalidInputError, match="proposes dictionaries and no features"):
        propose(database, identities["whole"], changes=changes, dictionaries=[dictionary])
    repair = propose(
        database, identities["whole"], features=[], changes=changes, dictionaries=[dictionary]
    )
    answer = client.post(f"/v1/repairs/{repair}:accept", json=ADA).json()
    assert (answer["state"], answer["base"], answer["published"]) == ("accepted", None, None)
    assert answer["feature_set_version"] is None
    assert client.get(f"/v1/dictionaries/{dictionary.name}").status_code == 200


def test_lists_are_filtered_and_paged(
    client: TestClient, settings: Settings, database: Database, evaluation: UUID
) -> None:
    ids = [propose(database, evaluation)]
    for name in ("third", "fourth"):
        (identity,) = register_checkpoint(client, settings, name)["evaluations"]
        ids.append(propose(database, UUID(identity)))
    client.post(f"/v1/repairs/{ids[2]}:reject", json=ADA)

    def listed(**query: Any) -> list[str]:
        answer = client.get("/v1/repairs", params=query)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert listed() == ids[::-1]
    assert listed(state="proposed") == [ids[1], ids[0]]
    assert listed(evaluation=str(evaluation)) == [ids[0]]
    assert listed(monitor="watch", state="rejected") == [ids[2]]
    assert listed(monitor="other") == []
    first = client.get("/v1/repairs", params={"limit": 2}).json()
    rest = client.get("/v1/repairs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None
    assert client.get(f"/v1/repairs/{new_id()}").json()["code"] == "unknown_repair"


@pytest.mark.parametrize(
    ("proposal", "error", "words"),
    [
        ({"changes": [change(diagnosis="tired")]}, ValidationError, "diagnosis"),
        ({"changes": [change(reason="")]}, ValidationError, "reason"),
        ({"features": []}, ValidationError, "features"),
        ({"features": [FEATURES[0]]}, InvalidInputError, "'up' names no feature"),
        (
            {"features": [{**FEATURES[0], "index": 99}, NEW_UP]},
            InvalidInputError,
            "32 latents",
        ),
        (
            {"features": [{**FEATURES[0], "dictionary": "layer-9"}, NEW_UP]},
            InvalidInputError,
            "'layer-9', which is not registered",
        ),
    ],
)
def test_a_proposal_that_could_not_be_published_is_refused(
    client: TestClient,
    database: Database,
    evaluation: UUID,
    proposal: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        propose(database, evaluation, **proposal)
    assert client.get("/v1/repairs").json()["items"] == []


@pytest.mark.parametrize("body", [{}, {"by": "  "}, {"by": "ada", "why": "x"}, {"by": "x" * 201}])
def test_a_decision_needs_a_name(
    client: TestClient, database: Database, evaluation: UUID, body: dict[str, Any]
) -> None:
    repair = propose(database, evaluation)
    assert client.post(f"/v1/repairs/{repair}:accept", json=body).status_code == 422
    assert client.get(f"/v1/repairs/{repair}").json()["state"] == "proposed"


def test_a_repair_whose_dictionary_is_gone_or_taken_changes_nothing(
    client: TestClient,
    settings: Settings,
    database: Database,
    evaluation: UUID,
    store: ArtifactStore,
    tmp_path: Path,
) -> None:
    dictionary = realigned(store, tmp_path / "new")
    latent = {**FEATURES[0], "dictionary": dictionary.name}
    repair = propose(
        database,
        evaluation,
        features=[latent, NEW_UP, FEATURES[2]],
        dictionaries=[dictionary],
    )
    weights = f"{dictionary.artifact}/sae_weights.safetensors"
    kept = store.read_bytes(weights)
    store.delete_prefix(weights)
    gone = client.post(f"/v1/repairs/{repair}:accept", json=ADA)
    assert (gone.status_code, gone.json()["code"]) == (409, "dictionary_missing")
    store.write_bytes(weights, kept)
    source = make_dictionary(settings.allowed_roots[0] / "taken", d_sae=56)
    post(client, "/v1/dictionaries", {"name": dictionary.name, "source": source})
    taken = client.post(f"/v1/repairs/{repair}:accept", json=ADA)
    assert (taken.status_code, taken.json()["code"]) == (409, "already_registered")
    assert client.get("/v1/feature-sets/set").json()["latest_version"] == 1
    assert client.get(f"/v1/repairs/{repair}").json()["state"] == "proposed"
    assert client.get("/v1/audit-events?subject_kind=repair").json()["items"] == []


@pytest.mark.parametrize("source", ["artifact:a", f"artifact:dictionaries/{'0' * 64}"])
def test_callers_cannot_register_what_lies_in_the_artifact_store(
    client: TestClient, source: str
) -> None:
    answer = client.post("/v1/dictionaries", json={"name": "d", "source": source, "site": SITE})
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == ("source_reserved", "source")
