"""The evidence behind verdicts: as a worker writes it, as the API answers it."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.core.database import Database
from app.evaluations.tables import Evaluation
from app.monitors.page_budget import reserve
from app.monitors.policy import DriftPolicy
from app.monitors.tables import Monitor
from app.settings import Settings
from tests.support.api import (
    finish,
    monitor_body,
    post,
    register_checkpoint,
    register_line,
    verdict,
)

GATE = "/v1/models/bot/checkpoints/next/gate"
PAGES = {"paged": True, "alpha": 0.003, "critical": 4.4, "intervals": {"identity": [0.3, 0.5]}}
EVIDENCE: dict[str, Any] = {
    "diagnosis": "rotated",
    "drift_score": 0.5,
    "token_level": False,
    "earns_keep": "no",
    "paged": True,
    "slow_drift": True,
    "causal_verdict": "correlational",
    "margin_source": "noise_floor:numerics_dtype",
    "controls": {"random_features": {"passed": None, "detail": "no concept", "figures": {}}},
    "baselines": {"probe": {"auroc": 0.9}, "earns_keep": "no", "reason": "a probe beats it"},
    "causal": {"loss_difference": 0.0},
    "robustness": {"baseline": 0.9, "candidate": 0.6},
    "trend": {"value": 0.11, "bound": 0.1},
    "pages": PAGES,
    "diagnosis_evidence": {"label": "rotated", "figures": {"identity": 0.01}},
}


@pytest.fixture
def line(client: TestClient, settings: Settings) -> TestClient:
    """The client, with a line registered."""
    register_line(client, settings)
    return client


def test_all_evidence_is_answered_as_it_was_written(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    with database.unit_of_work() as session:
        finish(
            session, evaluation, [verdict("number", "drifted", **EVIDENCE), verdict("up", "stable")]
        )
    path = f"/v1/evaluations/{evaluation}/verdicts?sort=feature"
    with_evidence, without = line.get(path).json()["items"]
    assert {name: with_evidence[name] for name in EVIDENCE} == EVIDENCE
    flags = {"paged": False, "slow_drift": False, "margin_source": "policy"}
    assert {name: without[name] for name in EVIDENCE} == dict.fromkeys(EVIDENCE) | flags


def test_what_is_absent_is_null_for_sql_too(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    with database.unit_of_work() as session:
        finish(session, evaluation, [verdict("up", "stable")])
        assert session.scalar(text("SELECT baselines IS NULL AND trend IS NULL FROM verdicts"))


def test_verdicts_are_filtered_by_their_evidence(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    rows = [
        verdict("a", "drifted", earns_keep="yes", paged=True, token_level=True),
        verdict("b", "stable", earns_keep="no", slow_drift=True, causal_verdict="causal"),
        verdict("c", "stable", earns_keep="not_shown", token_level=False),
    ]
    with database.unit_of_work() as session:
        finish(session, evaluation, rows)

    def names(query: str) -> list[str]:
        found = line.get(f"/v1/evaluations/{evaluation}/verdicts?sort=feature&{query}")
        return [item["feature"] for item in found.json()["items"]]

    assert names("earns_keep=yes&earns_keep=not_shown") == ["a", "c"]
    assert names("paged=true") == ["a"]
    assert names("paged=false") == ["b", "c"]
    assert names("slow_drift=true") == ["b"]
    assert names("token_level=true") == ["a"]
    assert names("token_level=false") == ["c"]
    assert names("causal_verdict=causal") == ["b"]
    refused = line.get(f"/v1/evaluations/{evaluation}/verdicts?causal_verdict=maybe")
    assert refused.status_code == 422


def test_a_control_that_cannot_be_told_is_shown_and_blocks_nothing(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    control: dict[str, Any] = {
        "control": "permuted_labels",
        "passed": None,
        "detail": "no labels",
        "figures": {},
    }
    with database.unit_of_work() as session:
        finish(session, evaluation, [verdict("number", "stable")], controls=[control])
    assert line.get(f"/v1/evaluations/{evaluation}").json()["controls"] == [control]
    assert line.get(GATE).json()["gate"] == "pass"


def test_the_gate_says_what_it_was_decided_on(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    rows = [
        verdict("number", "stable", slow_drift=True),
        verdict("up", "untrusted"),
        verdict("both", "stable", paged=True),
        verdict("both", "drifted", comparison="previous", slow_drift=True),
    ]
    control = {"control": "randomised_model", "passed": False, "detail": "up", "figures": {}}
    with database.unit_of_work() as session:
        finish(session, evaluation, rows, controls=[control])
    gate = line.get(GATE).json()
    assert gate["gate"] == "inconclusive"
    assert [
        (r["code"], r["features"], r["baseline"], r["evaluation"]) for r in gate["reasons"]
    ] == [
        ("control_failed", ["up"], "base", evaluation),
        ("slow_drift", ["number"], "base", evaluation),
        ("unproven", ["up"], "base", evaluation),
    ]
    (standing,) = gate["monitors"]
    assert (standing["evaluation"], standing["baseline"]) == (evaluation, "base")
    assert standing["failed_controls"] == ["randomised_model"]
    assert (standing["pages"], standing["slow_drift"]) == (["both"], ["number"])
    (item,) = line.get("/v1/monitors/watch/history").json()["items"]
    assert item["failed_controls"] == ["randomised_model"]
    sides = item["comparisons"]
    assert (sides["baseline"]["paged"], sides["baseline"]["slow_drift"]) == (1, 1)
    assert (sides["previous"]["paged"], sides["previous"]["slow_drift"]) == (0, 1)


def test_an_evaluation_shows_its_share_of_the_page_budget(
    line: TestClient, settings: Settings, database: Database
) -> None:
    (evaluation,) = register_checkpoint(line, settings, "next")["evaluations"]
    path = f"/v1/evaluations/{evaluation}"
    assert line.get(path).json()["page_share"] is None
    with database.unit_of_work() as session:
        share = reserve(session, session.get_one(Evaluation, evaluation), DriftPolicy())
    assert line.get(path).json()["page_share"] == {
        "alpha": pytest.approx(0.05 * 0.8 / 13),
        "quarter": share.quarter.isoformat(),
        "ordinal": 1,
        "planned": True,
    }


def test_a_monitor_of_an_older_release_is_still_the_same_monitor(
    line: TestClient, database: Database
) -> None:
    with database.unit_of_work() as session:
        monitor = session.query(Monitor).one()
        monitor.policy = {
            key: monitor.policy[key] for key in ("margins", "q", "alpha", "fvu_max", "gate")
        }
    assert post(line, "/v1/monitors", monitor_body(), 200)["name"] == "watch"
    other = line.post("/v1/monitors", json=monitor_body(policy={"pages": {"alpha": 0.01}}))
    assert (other.status_code, other.json()["field"]) == (409, "policy")
