"""The foot of a report: every digest, and commands that give the same numbers again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from tests.integration.reports.conftest import Line
from tests.integration.reports.reading import read

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
