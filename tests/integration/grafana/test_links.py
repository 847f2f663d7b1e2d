"""From a dashboard to the service's pages: every link of every row leads somewhere."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.integration.grafana.conftest import Line, Served
from tests.integration.grafana.grafana import Asked, dashboards, interpolated, linked

TO_A_PAGE = "${api}/"


def values_of(line: Line) -> dict[str, str]:
    """What a reader has chosen; the pages' links are followed by path."""
    return {
        "model": line.model,
        "monitor": line.monitor,
        "feature": line.features[0],
        "comparison": "baseline",
        "estimand": "identity",
        "api": "",
    }


def headings(panel: dict[str, Any]) -> dict[str, str]:
    """Column → heading."""
    return {
        field: heading
        for change in panel.get("transformations", ())
        for field, heading in change["options"].get("renameByName", {}).items()
    }


def links(panel: dict[str, Any]) -> Iterator[str]:
    """Links of the panel's cells."""
    for override in panel["fieldConfig"]["overrides"]:
        for found in override["properties"]:
            if found["id"] == "links":
                yield from (link["url"] for link in found["value"])


LINKED = [
    Asked(uid, panel["title"], {**panel, "rawSql": panel["targets"][0].get("rawSql")})
    for uid, board in dashboards().items()
    for panel in board["panels"]
    if panel["type"] == "table" and any(url.startswith(TO_A_PAGE) for url in links(panel))
]


@pytest.mark.parametrize(
    "asked", [asked for asked in LINKED if asked.query["rawSql"]], ids=lambda a: f"{a.part}"
)
def test_links_of_rows_lead_to_pages(
    served: Served, reader: Engine, line: Line, asked: Asked
) -> None:
    values = values_of(line)
    with reader.connect() as connection:
        found = connection.exec_driver_sql(interpolated(asked.text, values).replace("%", "%%"))
        names = headings(dict(asked.query))
        rows = [
            {names.get(name, name): value for name, value in row.items()}
            for row in found.mappings()
        ]
    assert rows
    for row in rows[:10]:
        for url in links(dict(asked.query)):
            if url.startswith(TO_A_PAGE):
                path = linked(url, values, row)
                # A report is drawn when it is asked for the first time.
                answer = served.api.get(path, timeout=120)
                assert answer.status_code == 200, (path, answer.text)
                assert "<h1>" in answer.text


def test_the_fleets_gate_leads_to_its_reasons(
    served: Served, prometheus: httpx.Client, line: Line
) -> None:
    (fleet,) = (asked for asked in LINKED if asked.dashboard == "featuredrift-fleet")
    (url,) = (url for url in links(dict(fleet.query)) if url.startswith(TO_A_PAGE))
    labels: dict[str, str] = {}
    for target in fleet.query["targets"]:
        expr = interpolated(target["expr"], {"model": line.model})
        answer = prometheus.get("/api/v1/query", params={"query": expr}).json()
        for series in answer["data"]["result"]:
            if series["metric"].get("monitor") == line.monitor:
                labels |= series["metric"]
    names = headings(dict(fleet.query))
    row = {names.get(label, label): value for label, value in labels.items()}
    answer = served.api.get(linked(url, values_of(line), row))
    assert answer.status_code == 200, answer.text
    assert 'class="badge s-fail"' in answer.text
    assert "have drifted from the baseline" in answer.text


@pytest.mark.parametrize(
    "url",
    sorted(
        {
            link["url"]
            for board in dashboards().values()
            for link in board["links"]
            if (link.get("url") or "").startswith(TO_A_PAGE)
        }
    ),
)
def test_links_at_the_top_lead_to_pages(served: Served, line: Line, url: str) -> None:
    answer = served.api.get(linked(url, values_of(line), {}))
    assert answer.status_code == 200, answer.text
    assert "<h1>" in answer.text


def test_from_the_fleet_to_the_repair_by_links_alone(
    served: Served, reader: Engine, line: Line
) -> None:
    """As somebody who was woken: fleet, model line, feature, proposed repair with its evidence."""
    texts = {uid: json.dumps(board) for uid, board in dashboards().items()}
    assert "/d/featuredrift-model-line?" in texts["featuredrift-fleet"]
    assert "/d/featuredrift-feature?" in texts["featuredrift-model-line"]
    (repairs,) = (asked for asked in LINKED if asked.part == "Repairs")
    (url,) = links(dict(repairs.query))
    values = values_of(line)
    with reader.connect() as connection:
        found = connection.exec_driver_sql(interpolated(repairs.text, values)).mappings().first()
    assert found is not None
    path = linked(url, values, {"Repair": found["repair"]})
    page = served.api.get(path)
    assert page.status_code == 200
    assert "direction" in page.text
    assert "rotated" in page.text
    repair = served.api.get(f"/v1{path}").json()
    changed = {change["feature"]: change for change in repair["changes"]}
    assert changed["direction"]["diagnosis"] == "rotated"
    assert changed["direction"]["evidence"]["held_out"]["verdict"] == "stable"
