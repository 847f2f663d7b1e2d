"""From a training job to whoever is on call, and from their page to the repair.

Every process and every server is one of its own, started by its own command; Prometheus and
Alertmanager are real, with the deployed configuration. Nothing here knows an id that was not in
the page or behind one of its links.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.integration.chain.browser import Html, shell
from tests.integration.chain.conftest import DRIFTED, Page
from tests.integration.chain.stack import FEATURES, MODEL, MONITOR, WATCHED, Chain
from tests.support.deployment import wait_for

BOARDS = Path(__file__).parents[3] / "deploy/grafana/dashboards"
CALLS = {"acknowledge", "accept", "reject", "cancel", "retry"}
"""Links that are POSTed to, not followed."""


def follow(chain: Chain, url: str) -> httpx.Response:
    """A link: in the API with the key of whoever is on call, elsewhere in their browser."""
    if urlsplit(url).path.startswith("/v1/"):
        answer = chain.api.get(url, headers={"Authorization": f"Bearer {chain.key}"})
    else:
        answer = chain.browser.get(url, follow_redirects=True)
        if answer.url.path == "/sign-in":
            answer = chain.sign_in(url)
    assert answer.status_code == 200, (url, answer.text)
    assert answer.url.path != "/sign-in", url
    return answer


def links_in(answer: Any) -> Iterator[tuple[str, str]]:
    """(name, URL) of all `links` in a JSON answer, at any depth."""
    if isinstance(answer, Mapping):
        for key, value in answer.items():
            if key == "links" and isinstance(value, Mapping):
                yield from value.items()
            else:
                yield from links_in(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from links_in(value)


@pytest.mark.parametrize("feature", WATCHED)
def test_both_ways_tell_the_same(deployment: Chain, page: Page, feature: str) -> None:
    alert, event = page.alerts[feature], page.events[feature]
    assert alert["labels"]["severity"] == event["severity"] == "page"
    assert alert["labels"]["model"] == event["model"] == MODEL
    assert alert["labels"]["monitor"] == event["monitor"] == MONITOR
    assert f"in checkpoint {DRIFTED}" in alert["annotations"]["summary"]
    assert f"Checkpoint {DRIFTED} against base: " in alert["annotations"]["description"]
    assert re.search(r" has changed by [0-9.]+ margins", alert["annotations"]["description"])
    assert re.search(r", [0-9.]+ times the margin of ", event["detail"])
    assert event["last_checkpoint"] == DRIFTED
    assert event["evidence"]["paged"] is True
    # The verdict that the metrics lead to is the one that the service's own alert speaks of.
    (seen,) = follow(deployment, alert["annotations"]["api_url"]).json()["items"]
    assert seen["evaluation"] == event["last_evaluation"]
    assert seen["effect"] == event["evidence"]["effect"]


def test_whoever_must_sign_in_first_comes_to_what_the_page_leads_to(
    deployment: Chain, page: Page
) -> None:
    annotations = page.alerts["direction"]["annotations"]
    for name in ("page_url", "evidence_url"):
        deployment.browser.cookies.clear()
        shown = deployment.sign_in(annotations[name])
        assert (shown.status_code, str(shown.url)) == (200, annotations[name])
        assert "direction" in shown.text
    assert "rotated" in shown.text
    assert any("/repairs/" in link for link in Html(shown.text).links)


def test_features_of_one_monitor_are_one_notification(deployment: Chain, page: Page) -> None:
    about = [
        (body["groupLabels"], {alert["labels"].get("feature") for alert in body["alerts"]})
        for body in deployment.pages.bodies["/pager"]
        if body["groupLabels"].get("model") == MODEL
    ]
    assert all(group == {"model": MODEL, "monitor": MONITOR} for group, _ in about)
    assert any(set(WATCHED) <= features for _, features in about)


def test_every_process_is_scraped(deployment: Chain, page: Page) -> None:
    answer = deployment.prometheus.get("/api/v1/query", params={"query": "up"}).json()
    up = {found["metric"]["job"]: found["value"][1] for found in answer["data"]["result"]}
    jobs = ("featuredrift-exporter", "featuredrift-api", "prometheus", "alertmanager")
    assert up == dict.fromkeys(jobs, "1")


def test_an_unsigned_or_changed_event_is_not_taken(deployment: Chain, page: Page) -> None:
    from standardwebhooks import Webhook, WebhookVerificationError

    request = deployment.hooks.received[0]
    forged = request.body.replace(b"page", b"note")
    assert forged != request.body
    with pytest.raises(WebhookVerificationError):
        Webhook(deployment.secret).verify(forged, request.headers)


def test_every_link_within_reach_of_the_page_answers(deployment: Chain, page: Page) -> None:
    """All that a person can click on from either page, as far as links go."""
    todo = [
        url
        for bodies in deployment.pages.bodies.values()
        for body in bodies
        for url in (
            body["externalURL"],
            *(alert["generatorURL"] for alert in body["alerts"]),
            *(
                alert["annotations"][name]
                for alert in body["alerts"]
                for name in ("runbook_url", "page_url", "evidence_url", "api_url")
                if name in alert["annotations"]
            ),
        )
    ]
    for event in page.events.values():
        # Whole addresses, though it was a worker that wrote them.
        assert all(url.startswith(str(deployment.api.base_url)) for _, url in links_in(event))
        todo += [url for name, url in links_in(event) if name not in CALLS]
        todo += event["pages"].values()
    seen: set[str] = set()
    while todo:
        url = todo.pop()
        if url in seen:
            continue
        answer = follow(deployment, url)
        seen.add(url)
        if answer.url.host != "127.0.0.1" or answer.url.port != deployment.api.base_url.port:
            continue
        if answer.url.path == "/openapi.json":
            continue  # Its links are examples.
        if answer.headers["content-type"].startswith("application/json"):
            todo += [link for name, link in links_in(answer.json()) if name not in CALLS]
        elif answer.headers["content-type"].startswith("text/html"):
            joined = (answer.url.join(link) for link in Html(answer.text).links)
            todo += [str(link.copy_with(fragment=None)) for link in joined]
    kinds = {part for url in seen for part in urlsplit(url).path.split("/")}
    assert {"runbooks", "evaluations", "verdicts", "repairs", "alerts", "history", "gate"} <= kinds
    pages = {part for url in seen for part in urlsplit(url).path.split("/")[1:2]}
    assert {"models", "evaluations", "features", "alerts", "repairs", "corpora"} <= pages
    # All runbooks are behind a page of one of them, directly or not, or of the index.
    assert len([url for url in seen if "/runbooks/" in url]) >= 3


def test_the_dashboards_of_all_alerts_exist_with_their_variables(
    deployment: Chain, page: Page
) -> None:
    boards = {
        board["uid"]: board
        for path in BOARDS.glob("*.json")
        for board in [json.loads(path.read_text())]
    }
    told = [alert for way in ("/pager", "/tickets") for alert in deployment.pages.alerts(way)]
    for alert in told:
        url = urlsplit(alert["annotations"]["dashboard_url"])
        start, _, uid = url.path.rpartition("/")
        assert start == "/d"
        named = {f"var-{one['name']}" for one in boards[uid]["templating"]["list"]}
        given = {name: value for name, (value,) in parse_qs(url.query).items()}
        assert set(given) <= named
        assert given == {f"var-{name}": alert["labels"][name] for name in labels(given)}
    for alert in page.alerts.values():
        assert "var-feature=" in alert["annotations"]["dashboard_url"]


def labels(given: Mapping[str, str]) -> list[str]:
    """The labels that variables are named after."""
    return [name.removeprefix("var-") for name in given]


def test_from_the_page_to_the_repair_and_back_to_quiet(deployment: Chain, page: Page) -> None:
    feature = "direction"
    alert = page.alerts[feature]
    runbook = Html(follow(deployment, alert["annotations"]["runbook_url"]).text)

    # The diagnosis, behind the page's own link.
    (verdict,) = follow(deployment, alert["annotations"]["api_url"]).json()["items"]
    assert (verdict["verdict"], verdict["diagnosis"]) == ("drifted", "rotated")
    assert verdict["diagnosis_evidence"]["reason"]

    # From it to the proposed repair, which was measured on documents that it was not fitted on.
    listed = follow(deployment, verdict["links"]["repairs"]).json()["items"]
    (proposal,) = (repair for repair in listed if repair["comparison"] == verdict["comparison"])
    repair = follow(deployment, proposal["links"]["self"]).json()
    changes = {change["feature"]: change for change in repair["changes"]}
    assert set(WATCHED) <= set(changes)
    assert changes[feature]["evidence"]["held_out"]["verdict"] == "stable"
    # The service's own page leads to the same.
    assert follow(deployment, page.events[feature]["links"]["repair"]).json()["id"] == repair["id"]

    # Somebody has it; then the calls that the runbook names, word for word.
    variables = deployment.variables | {
        "API": str(deployment.api.base_url.join("/v1")).rstrip("/"),
        "MODEL": alert["labels"]["model"],
        "MONITOR": alert["labels"]["monitor"],
        "FEATURE": feature,
        "REPAIR": repair["id"],
    }
    assert any(f"API={variables['API']}" in code for code in runbook.code)
    open_ones = json.loads(shell(runbook.command("/alerts?monitor=$MONITOR"), variables))["items"]
    (own,) = (found for found in open_ones if found["subject"] == feature)
    assert own["id"] == page.events[feature]["id"]
    variables |= {"ALERT": own["id"]}
    taken = json.loads(shell(runbook.command("/alerts/${ALERT}:acknowledge"), variables))
    assert taken["state"] == "acknowledged"
    accepted = json.loads(shell(runbook.command("/repairs/${REPAIR}:accept"), variables))
    assert accepted["published"] == {"name": FEATURES, "version": 2}
    monitor = follow(deployment, repair["links"]["monitor"])
    variables |= {
        "ETAG": monitor.headers["ETag"],
        "SET": accepted["published"]["name"],
        "VERSION": str(accepted["published"]["version"]),
        "CHECKPOINT": accepted["checkpoint"],
    }
    shell(runbook.command("/monitors/$MONITOR", "feature_set"), variables)
    assert follow(deployment, repair["links"]["monitor"]).json()["feature_set"]["version"] == 2

    # Nothing is over before it is shown to be.
    assert deployment.notices("resolved") == deployment.events("alert.resolved") == []

    # The next checkpoint of the training job.
    deployment.checkpoint("step-3000", turn=5, steps=1, parent=DRIFTED)
    assert deployment.gate("step-3000") == "pass"

    def over() -> bool:
        alerts = {found["labels"].get("feature") for found in deployment.notices("resolved")}
        events = {found["data"]["subject"] for found in deployment.events("alert.resolved")}
        return alerts >= set(WATCHED) <= events

    wait_for(over, 100)
    resolved = follow(deployment, own["links"]["self"]).json()
    assert (resolved["state"], resolved["last_checkpoint"]) == ("resolved", "step-3000")
    (notice,) = (
        event for event in deployment.events("alert.resolved") if event["data"]["id"] == own["id"]
    )
    assert notice["data"]["detail"] == resolved["detail"]
