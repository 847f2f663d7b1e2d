"""What the runbooks tell people to type works: each command and query, as the page shows it."""

import json
import re

import pytest

from app.runbooks.rendering import INDEX, sources
from tests.integration.chain.browser import WITH_A_KEY, Html, shell
from tests.integration.chain.conftest import DRIFTED, Page
from tests.integration.chain.stack import DICTIONARY, Chain
from tests.support.deployment import save_dictionary

PAGES = sorted(set(sources()) - {INDEX})
DECISIONS = (":acknowledge", ":accept", '"feature_set')
"""Parts of the commands that test_chain.py types, where there is something to decide."""
PLAIN = re.compile(r"\w+(\{[^}]*\})?")
BESIDE_A_CONTROL = "featuredrift_feature_drift_score"
"""A score between noise and a randomised model, which is not run here."""
REFUSED = 22
"""What curl ends with when it was told to fail where the service refuses."""
TOO_LATE = (":retry", ":cancel")
"""Calls on an evaluation that has succeeded: the service understands them and says no."""


@pytest.fixture(scope="module")
def variables(deployment: Chain, page: Page) -> dict[str, str]:
    """What the pages' variables stand for, all of it taken from one page and its links."""
    alert, event = page.alerts["direction"], page.events["direction"]
    monitor = deployment.api.get(event["links"]["monitor"])
    return deployment.variables | {
        "API": str(deployment.api.base_url.join("/v1")),
        "MODEL": alert["labels"]["model"],
        "MONITOR": alert["labels"]["monitor"],
        "FEATURE": alert["labels"]["feature"],
        "ID": event["last_evaluation"],
        "REPAIR": event["repair"],
        "ALERT": event["id"],
        "CHECKPOINT": DRIFTED,
        "ETAG": monitor.headers["ETag"],
        "DICTIONARY": DICTIONARY,
    }


def read(deployment: Chain, name: str) -> Html:
    """A runbook as the API serves it."""
    page = Html(deployment.browser.get(f"/runbooks/{name}").raise_for_status().text)
    # The service needs a key: a page that asks it anything says how to send one.
    assert WITH_A_KEY in page.code or not any("$API" in line for line in page.commands())
    return page


@pytest.mark.parametrize("name", PAGES)
def test_every_query_of_a_runbook_is_understood(
    deployment: Chain, variables: dict[str, str], name: str
) -> None:
    for query in read(deployment, name).queries():
        text = query
        for variable, value in variables.items():
            text = text.replace(f"${variable}", value)
        assert "$" not in text, f"{query} has a variable that nobody is told"
        answer = deployment.prometheus.get("/api/v1/query", params={"query": text}).json()
        assert answer["status"] == "success", (text, answer)
        # One that asks for no condition must have, or have had, something to show.
        if PLAIN.fullmatch(text) and not text.startswith(BESIDE_A_CONTROL):
            past = {"query": f"last_over_time({text}[1h])"}
            answer = deployment.prometheus.get("/api/v1/query", params=past).json()
            assert answer["data"]["result"], text


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_runbook_is_obeyed(
    deployment: Chain, variables: dict[str, str], name: str
) -> None:
    new = f"{DICTIONARY}-{name.lower()}"
    folder = deployment.models / new
    own = variables | {"NEW": new, "SOURCE": str(folder)}
    typed = [
        command.replace("http://127.0.0.1:9321", variables["EXPORTER"])
        for command in dict.fromkeys(read(deployment, name).commands())
        # The first would serve until it is stopped; the second has a test of its own.
        if not command.startswith(("featuredrift worker", "featuredrift doctor"))
    ]
    for command in typed:
        if any(part in command for part in DECISIONS):
            continue
        if any(part in command for part in TOO_LATE):
            refused = json.loads(shell(command, own, codes=(REFUSED,)))
            assert refused["status"] == 409, command
        elif command.startswith("featuredrift check"):
            # pass, fail or inconclusive: all are answers.
            shell(command, own, codes=(0, 1, 2))
        else:
            if "$SOURCE" in command:
                save_dictionary(folder, seed=1)
            shell(command, own)


def test_doctor_finds_nothing_wrong(variables: dict[str, str]) -> None:
    said = shell("featuredrift doctor", variables)
    assert "fail" not in said.split()
