"""The API of alerts: lists, links that lead somewhere, acknowledgement, what webhooks are sent."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from app.repairs.writing import replace_proposal
from app.webhooks.tables import Delivery
from tests.integration.alerts.conftest import Line, control, paged
from tests.support.api import FEATURES, verdict

DIRECTION = FEATURES[1]


def page_with_repair(line: Line) -> dict[str, Any]:
    """The alert on `up`, whose evaluation proposes a repair for it, as it is answered."""
    evaluation = line.register("c1")
    change = {"feature": "up", "old": DIRECTION, "new": DIRECTION, "reason": "rotated"}
    with line.database.unit_of_work() as session:
        replace_proposal(
            session,
            evaluation,
            "baseline",
            changes=[{**change, "diagnosis": "rotated", "evidence": {}}],
            features=FEATURES,
        )
    line.succeed(evaluation, paged("up"), verdict("number", "stable"))
    (found,) = line.client.get("/v1/alerts").json()["items"]
    answer: dict[str, Any] = found
    return answer


def test_every_link_of_an_alert_leads_somewhere(line: Line) -> None:
    alert = page_with_repair(line)
    links = alert["links"]
    assert {"evaluation", "verdict", "history", "repair", "repairs", "gate", "monitor"} <= set(
        links
    )
    for name, path in links.items():
        if name not in ("runbook", "acknowledge"):
            assert line.client.get(path).status_code == 200, (name, path)
    assert links["runbook"] == "http://127.0.0.1:8321/runbooks/FeatureDrifted.md"
    (found,) = line.client.get(links["verdict"]).json()["items"]
    assert (found["feature"], found["effect"]) == ("up", alert["evidence"]["effect"])
    (seen,) = line.client.get(links["history"]).json()["items"]
    assert seen["verdict"]["feature"] == "up"
    repair = line.client.get(links["repair"]).json()
    assert repair["changes"][0]["feature"] == "up"
    assert repair["id"] == alert["repair"]
    assert line.client.get(links["self"]).json() == alert
    pages = alert["pages"]
    assert {"self", "monitor", "evaluation", "verdict", "checkpoint", "history", "repair"} == set(
        pages
    )
    for name, path in pages.items():
        shown = line.client.get(path)
        assert (shown.status_code, "<h1>" in shown.text) == (200, True), (name, path)
    assert "Only up." in line.client.get(pages["verdict"]).text


def test_links_of_other_subjects_lead_somewhere_too(line: Line) -> None:
    stale = verdict("number", "drifted", diagnosis="dictionary_stale")
    line.judge("c1", stale, verdict("up", "untrusted"), controls=[control("numerics", False)])
    line.fail(line.register("c2"))
    items = line.client.get("/v1/alerts").json()["items"]
    runbooks = {item["links"]["runbook"].rpartition("/")[2] for item in items}
    assert runbooks == {
        "FeatureDrifted.md",
        "FeatureUntrusted.md",
        "ControlFailed.md",
        "DictionaryStale.md",
        "EvaluationFailed.md",
    }
    for item in items:
        for name, path in item["links"].items():
            if name not in ("runbook", "acknowledge", "retry"):
                assert line.client.get(path).status_code == 200, (item["subject"], name, path)
        for name, path in item["pages"].items():
            assert line.client.get(path).status_code == 200, (item["subject"], name, path)
    (failed,) = (item for item in items if item["subject_kind"] == "evaluation")
    assert line.client.post(failed["links"]["retry"]).status_code == 202


def test_after_an_undecided_evaluation_the_links_still_show_what_raised_it(line: Line) -> None:
    alert = page_with_repair(line)
    line.judge("c2", verdict("up", "inconclusive"))
    later = line.client.get(alert["links"]["self"]).json()
    assert later["links"]["verdict"] == alert["links"]["verdict"]
    assert later["repair"] == alert["repair"]
    assert (later["since_checkpoint"], later["last_checkpoint"]) == ("c1", "c2")
    latest = line.client.get(later["links"]["last_evaluation"]).json()
    assert latest["checkpoint"] == "c2"


def test_alerts_are_filtered_and_paged(line: Line) -> None:
    line.judge("c1", paged(), verdict("up", "drifted"), controls=[control("numerics", False)])
    line.judge("c2", verdict("up", "stable"), paged())
    client = line.client

    def subjects(query: str) -> list[str]:
        response = client.get(f"/v1/alerts?{query}")
        assert response.status_code == 200, response.text
        return [item["subject"] for item in response.json()["items"]]

    assert subjects("state=open&severity=page") == ["number"]
    assert subjects("state=resolved") == ["up"]
    assert subjects("state=resolved&state=open&subject_kind=feature") == ["up", "number"]
    assert subjects("subject_kind=control") == ["numerics"]
    assert subjects("subject=up&model=bot&monitor=watch") == ["up"]
    assert subjects("model=other") == subjects("monitor=other") == []
    page = client.get("/v1/alerts?limit=2").json()
    assert len(page["items"]) == 2
    rest = client.get(f"/v1/alerts?limit=2&cursor={page['next_cursor']}").json()
    assert (len(rest["items"]), rest["next_cursor"]) == (1, None)


def test_acknowledging_says_who_and_why_and_stands_in_the_audit_trail(line: Line) -> None:
    alert = page_with_repair(line)
    path = alert["links"]["acknowledge"]
    body = {"by": "ada", "note": "comparing with the last release"}
    answer = line.client.post(path, json=body).json()
    assert (answer["state"], answer["acknowledged_by"], answer["note"]) == (
        "acknowledged",
        "ada",
        body["note"],
    )
    assert line.client.post(path, json=body).json() == answer, "again, nothing changes"
    taken_over = line.client.post(path, json={"by": "bob"}).json()
    assert (taken_over["acknowledged_by"], taken_over["note"]) == ("bob", None)
    events = line.client.get(f"/v1/audit-events?subject_id={alert['id']}").json()["items"]
    assert [(event["actor"], event["detail"]["taken_over_from"]) for event in events] == [
        ("bob", "ada"),
        ("ada", None),
    ]
    assert line.events() == ["alert.opened", *["alert.acknowledged"] * 2]


def test_an_idempotency_key_acknowledges_once(line: Line) -> None:
    alert = page_with_repair(line)
    for replayed in (False, True):
        response = line.client.post(
            alert["links"]["acknowledge"], json={"by": "ada"}, headers={"Idempotency-Key": "k"}
        )
        assert ("Idempotent-Replayed" in response.headers) is replayed
    assert line.events() == ["alert.opened", "alert.acknowledged"]


@pytest.mark.parametrize("body", [{}, {"by": " "}, {"by": "x" * 201}, {"by": "a", "other": 1}])
def test_a_bad_acknowledgement_is_refused(line: Line, body: dict[str, Any]) -> None:
    alert = page_with_repair(line)
    assert line.client.post(alert["links"]["acknowledge"], json=body).status_code == 422
    assert line.alert().state == "open"


def test_what_is_resolved_or_unknown_cannot_be_acknowledged(line: Line) -> None:
    alert = page_with_repair(line)
    line.judge("c2", verdict("up", "stable"))
    response = line.client.post(alert["links"]["acknowledge"], json={"by": "ada"})
    assert (response.status_code, response.json()["code"]) == (409, "alert_resolved")
    nowhere = "/v1/alerts/019ab7d2-5c00-7000-8000-00000000000c"
    for response in (
        line.client.get(nowhere),
        line.client.post(f"{nowhere}:acknowledge", json={"by": "ada"}),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "unknown_alert")


def test_a_webhook_is_sent_the_whole_alert_with_whole_addresses(line: Line) -> None:
    alert = page_with_repair(line)
    with line.database.unit_of_work() as session:
        (delivery,) = session.scalars(select(Delivery).where(Delivery.event == "alert.opened"))
        body = json.loads(delivery.body)
    assert (delivery.model, delivery.monitor) == ("bot", "watch")
    sent = body["data"]
    links, pages = sent.pop("links"), sent.pop("pages")
    expected = {key: value for key, value in alert.items() if key not in ("links", "pages")}
    assert sent == expected
    for name, path in alert["pages"].items():
        assert pages[name] == f"http://127.0.0.1:8321{path}"
    for name, path in alert["links"].items():
        assert links[name].endswith(path)
        assert name == "runbook" or links[name].startswith("http")
