"""One deployment, and one drifted checkpoint that somebody was woken for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.chain.stack import MODEL, WATCHED, Chain, chain
from tests.support.deployment import wait_for
from tests.support.tools import tool

DRIFTED = "step-2000"


@dataclass(frozen=True)
class Page:
    """What the person on call has in hand, and nothing else."""

    alerts: dict[str, dict[str, Any]]
    """Feature → the alert as Alertmanager sent it."""
    events: dict[str, dict[str, Any]]
    """Feature → the alert as the service's own webhook sent it."""


@pytest.fixture(scope="session")
def deployment(servers_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Everything that production has, but for Grafana."""
    for name in ("prometheus", "alertmanager", "curl"):
        tool(name)
    folder = servers_dir / "chain"
    folder.mkdir()
    with chain(folder, tmp_path_factory.mktemp("models")) as found:
        yield found


@pytest.fixture(scope="session")
def page(deployment: Chain) -> Page:
    """A training job posts a checkpoint whose residual stream was turned; people are told."""
    answer = deployment.checkpoint(DRIFTED, turn=5, parent="base")
    assert (len(answer["evaluations"]), answer["skipped"]) == (1, [])
    assert deployment.gate(DRIFTED) == "fail"

    def told() -> bool:
        alerts = {alert["labels"].get("feature") for alert in deployment.notices("firing")}
        events = {event["data"]["subject"] for event in deployment.events("alert.opened")}
        return alerts >= set(WATCHED) <= events

    wait_for(told, 100)
    return Page(
        {
            alert["labels"]["feature"]: alert
            for alert in deployment.notices("firing")
            if alert["labels"]["model"] == MODEL and "feature" in alert["labels"]
        },
        {event["data"]["subject"]: event["data"] for event in deployment.events("alert.opened")},
    )
