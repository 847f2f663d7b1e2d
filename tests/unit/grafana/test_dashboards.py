"""The dashboards as written: fresh, well-formed, explained, and linked with each other."""

import json
import re
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.__main__ import FOLDER, differences, render
from deploy.grafana.layout import TITLES
from deploy.grafana.queries import POSTGRES, PROMETHEUS

PROVISIONING = FOLDER.parent / "provisioning"
DASHBOARDS: dict[str, dict[str, Any]] = {name: json.loads(text) for name, text in render().items()}
NAMES = sorted(DASHBOARDS)
BUILT_IN = {"__url_time_range", "__data", "__field", "__value"}
"""Variables that Grafana itself fills in."""


def panels(name: str) -> list[dict[str, Any]]:
    """All panels that show something, rows left out."""
    return [panel for panel in DASHBOARDS[name]["panels"] if panel["type"] != "row"]


def strings(value: Any) -> list[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value
    return [
        found
        for inner in (values if isinstance(value, dict | list) else ())
        for found in strings(inner)
    ]


def test_the_files_are_what_the_code_says() -> None:
    assert differences(render(), FOLDER) == [], "run: make dashboards"


def test_a_stale_a_missing_and_a_left_over_file_are_found(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "d")
    (tmp_path / "d" / "fleet.json").write_text("{}")
    (tmp_path / "d" / "feature.json").unlink()
    (tmp_path / "d" / "gone.json").write_text("{}")
    command = [sys.executable, "-m", "deploy.grafana", "--out", str(tmp_path / "d")]
    checked = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 1
    assert "feature.json, fleet.json, gone.json; run: make dashboards" in checked.stderr
    subprocess.run(command, check=True)
    assert subprocess.run([*command, "--check"], check=False).returncode == 0


def test_the_api_address_is_set_by_the_command() -> None:
    text = render("https://drift.example")["fleet.json"]
    (api,) = (v for v in json.loads(text)["templating"]["list"] if v["name"] == "api")
    assert api["query"] == "https://drift.example"


@pytest.mark.parametrize("name", NAMES)
def test_the_sdk_reads_back_all_of_it(name: str) -> None:
    """What the SDK's types do not know would be lost on the way."""
    register_default_plugins()
    read = Dashboard.from_json(DASHBOARDS[name])
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == DASHBOARDS[name]


def test_uids_and_titles() -> None:
    assert {d["uid"]: d["title"] for d in DASHBOARDS.values()} == TITLES


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_unique_and_nothing_overlaps(name: str) -> None:
    shown = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in shown}) == len(shown)
    for panel in shown:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
    for first, second in combinations(shown, 2):
        a, b = first["gridPos"], second["gridPos"]
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, (first["title"], second["title"])


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_panels_fills_the_width(name: str) -> None:
    """A gap would be a panel that slipped to the next line."""
    by_top: dict[int, int] = {}
    for panel in DASHBOARDS[name]["panels"]:
        place = panel["gridPos"]
        by_top[place["y"]] = by_top.get(place["y"], 0) + place["w"]
    assert set(by_top.values()) == {24}, by_top


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_is_explained_and_asks_something(name: str) -> None:
    titles = [panel["title"] for panel in panels(name)]
    assert len(set(titles)) == len(titles)
    for panel in panels(name):
        assert len(panel["description"]) >= 60, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert target.get("expr") or target.get("rawSql"), panel["title"]
            assert target["datasource"]["uid"] == panel["datasource"]["uid"]
            if target.get("range"):
                assert target["legendFormat"], panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_only_known_variables_are_used(name: str) -> None:
    board = DASHBOARDS[name]
    known = {variable["name"] for variable in board["templating"]["list"]} | BUILT_IN
    used = set()
    for text in strings(board):
        used |= set(re.findall(r"\$\{(\w+)", text))
        used |= {v for v in re.findall(r"\$(\w+)", text) if not v.startswith("__")}
    assert used <= known, used - known


@pytest.mark.parametrize("name", NAMES)
def test_links_to_dashboards_name_dashboards_and_their_variables(name: str) -> None:
    variables = {
        board["uid"]: {variable["name"] for variable in board["templating"]["list"]}
        for board in DASHBOARDS.values()
    }
    links = [text for text in strings(DASHBOARDS[name]) if text.startswith("/d/")]
    for link in links:
        uid, _, query = link.removeprefix("/d/").partition("?")
        assert uid in variables, link
        assert set(re.findall(r"var-(\w+)=", query)) <= variables[uid], link


def test_a_reader_gets_from_fleet_to_model_line_to_feature_to_the_api() -> None:
    def targets(name: str) -> str:
        return "\n".join(strings(DASHBOARDS[name]))

    assert "/d/featuredrift-model-line?var-model=" in targets("fleet.json")
    assert "/d/featuredrift-feature?var-model=" in targets("model-line.json")
    for name in ("feature.json", "model-line.json"):
        assert "${api}/evaluations/${__data.fields" in targets(name)
    assert "${api}/repairs/${__data.fields" in targets("feature.json")


def test_linked_columns_exist() -> None:
    for name in NAMES:
        for panel in panels(name):
            headings = {
                heading
                for change in panel.get("transformations", ())
                for heading in change["options"].get("renameByName", {}).values()
            }
            for field in re.findall(r'__data\.fields\["(.+?)"\]', "\n".join(strings(panel))):
                assert field in headings, (panel["title"], field)


def test_data_sources_are_those_that_are_provisioned() -> None:
    text = (PROVISIONING / "datasources" / "featuredrift.yaml").read_text()
    provisioned = {source["uid"]: source["type"] for source in yaml.safe_load(text)["datasources"]}
    assert provisioned == {ref.uid: ref.type_val for ref in (PROMETHEUS, POSTGRES)}
    for board in DASHBOARDS.values():
        for part in (
            *board["panels"],
            *board["annotations"].get("list", ()),
            *board["templating"]["list"],
        ):
            if source := part.get("datasource"):
                assert provisioned[source["uid"]] == source["type"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "featuredrift.yaml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


@pytest.mark.parametrize("name", NAMES)
def test_values_of_several_series_are_named(name: str) -> None:
    """A number whose series is told by its colour alone says nothing."""
    for panel in panels(name):
        legends = {target.get("legendFormat", "") for target in panel["targets"]}
        if panel["type"] == "stat" and any("{{" in legend for legend in legends):
            assert panel["options"]["textMode"] in {"name", "value_and_name"}, panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_a_count_is_not_shown_in_seconds(name: str) -> None:
    for panel in panels(name):
        settings = panel["fieldConfig"]
        own = {
            rule["matcher"]["options"]: {one["id"]: one["value"] for one in rule["properties"]}
            for rule in settings.get("overrides", ())
        }
        for target in panel["targets"]:
            if "_total" in target.get("expr", "") and "histogram" not in target["expr"]:
                unit = own.get(target["legendFormat"], {}).get("unit", settings["defaults"]["unit"])
                assert unit == "short", panel["title"]


def test_process_metrics_are_those_of_any_deployment() -> None:
    """The chart names its jobs by the release: `prod-featuredrift-exporter`."""
    jobs = {job for name in NAMES for job in re.findall(r'job=~"(.+?)"', str(DASHBOARDS[name]))}
    assert jobs
    for job in jobs:
        assert re.fullmatch(job, "prod-featuredrift-exporter")
        assert re.fullmatch(job, "featuredrift-api")


def test_no_password_is_written_down() -> None:
    text = (PROVISIONING / "datasources" / "featuredrift.yaml").read_text()
    for source in yaml.safe_load(text)["datasources"]:
        for value in source.get("secureJsonData", {}).values():
            assert value.startswith("$__file{")
