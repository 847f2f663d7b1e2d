"""A real Alertmanager: one cause silences its effects, and nothing else."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.integration.embedded.up import wait_for
from tests.integration.exporter.servers import Received, alertmanager, receiver

NIGHTLY = {"job": "featuredrift-exporter", "model": "support-bot", "monitor": "nightly"}
OTHER = NIGHTLY | {"monitor": "weekly"}


def alert(name: str, severity: str = "ticket", **labels: str) -> dict[str, str]:
    """An alert of the nightly monitor, unless its labels say otherwise."""
    return NIGHTLY | {"alertname": name, "severity": severity} | labels


@pytest.fixture
def received() -> Iterator[Received]:
    with receiver() as found:
        yield found


@pytest.fixture
def url(tmp_path: Path, received: Received) -> Iterator[str]:
    with alertmanager(tmp_path / "alertmanager", received.url) as found:
        yield found


def post(url: str, *alerts: Mapping[str, str]) -> None:
    """Raise alerts."""
    body = [{"labels": dict(labels)} for labels in alerts]
    httpx.post(f"{url}/api/v2/alerts", json=body).raise_for_status()


def silenced(url: str) -> set[tuple[str, str, str]]:
    """(alert, monitor, feature) of what is inhibited now."""
    found = httpx.get(f"{url}/api/v2/alerts").raise_for_status().json()
    return {
        (
            entry["labels"]["alertname"],
            entry["labels"]["monitor"],
            entry["labels"].get("feature", ""),
        )
        for entry in found
        if entry["status"]["inhibitedBy"]
    }


DRIFTED = alert("FeatureDrifted", "page", feature="quotes", scope="watched")
UNTRUSTED = alert("FeatureUntrusted", feature="digits")
SHARE = alert("DriftedShareHigh")
EFFECTS = (DRIFTED, UNTRUSTED, SHARE)


@pytest.mark.parametrize(
    ("cause", "silent"),
    [
        (
            alert("ControlFailed", control="no_op"),
            {"FeatureDrifted", "FeatureUntrusted", "DriftedShareHigh"},
        ),
        (
            alert("EvaluationFailed", outcome="invalid"),
            {"FeatureDrifted", "FeatureUntrusted", "DriftedShareHigh"},
        ),
        (alert("ControlFailed", control="permuted_labels"), {"FeatureUntrusted"}),
        (
            alert("EvaluationFailed", outcome="failed"),
            {"FeatureUntrusted", "DriftedShareHigh"},
        ),
        (alert("DictionaryStale", dictionary="sae-4"), set()),
    ],
    ids=["no-op", "invalid", "one control", "failed", "no cause"],
)
def test_a_cause_silences_the_alerts_of_its_own_features(
    cause: dict[str, str], silent: set[str], url: str, received: Received
) -> None:
    elsewhere = [effect | OTHER for effect in EFFECTS]
    post(url, cause, *EFFECTS, *elsewhere)

    wait_for(lambda: len(told(received)) >= 1 + 2 * len(EFFECTS) - len(silent))

    assert silenced(url) == {
        (effect["alertname"], "nightly", effect.get("feature", ""))
        for effect in EFFECTS
        if effect["alertname"] in silent
    }
    assert told(received) == {
        (cause["alertname"], "nightly"),
        *((effect["alertname"], "weekly") for effect in EFFECTS),
        *((e["alertname"], "nightly") for e in EFFECTS if e["alertname"] not in silent),
    }


def told(received: Received) -> set[tuple[str, str]]:
    """(alert, monitor) of what anybody was told."""
    return {
        (entry["labels"]["alertname"], entry["labels"]["monitor"])
        for path in ("/pager", "/tickets")
        for entry in received.alerts(path)
    }


def test_pages_and_tickets_go_their_own_ways_one_notification_for_a_monitor(
    url: str, received: Received
) -> None:
    second = DRIFTED | {"feature": "digits"}
    post(url, DRIFTED, second, SHARE, DRIFTED | OTHER)

    wait_for(lambda: len(received.alerts("/pager")) >= 3 and received.alerts("/tickets"))

    pages = received.bodies["/pager"]
    groups = [
        (page["groupLabels"], {a["labels"]["feature"] for a in page["alerts"]}) for page in pages
    ]
    assert sorted(groups, key=str) == [
        ({"model": "support-bot", "monitor": "nightly"}, {"quotes", "digits"}),
        ({"model": "support-bot", "monitor": "weekly"}, {"quotes"}),
    ]
    assert {entry["labels"]["alertname"] for entry in received.alerts("/tickets")} == {
        "DriftedShareHigh"
    }


def test_no_worker_explains_why_nothing_was_judged(url: str, received: Received) -> None:
    service = {"job": "featuredrift-exporter", "severity": "page"}
    post(
        url,
        service | {"alertname": "WorkerAbsent"},
        alert("EvaluationStale", cause="unjudged"),
        SHARE,
    )

    wait_for(lambda: received.alerts("/pager") and received.alerts("/tickets"))

    found = httpx.get(f"{url}/api/v2/alerts").raise_for_status().json()
    assert {e["labels"]["alertname"] for e in found if e["status"]["inhibitedBy"]} == {
        "EvaluationStale"
    }
