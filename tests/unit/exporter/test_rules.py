"""Rules, metrics, documents and runbooks speak of the same things, and the tools accept them."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.request_metrics import RequestMetrics
from app.exporter.collector import ReadingCollector
from app.exporter.reading import (
    DURATION_BOUNDS,
    Activity,
    CheckpointInfo,
    Comparison,
    Drift,
    Durations,
    Health,
    Latest,
    MonitorKey,
    Reading,
    WatchedFeature,
)
from app.exporter.refresher import State
from app.reports.words import DIAGNOSES, ESTIMANDS
from app.verdicts.plain import WHAT
from tests.support.tools import tool

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy/prometheus/rules"
RULE_TESTS = ROOT / "deploy/prometheus/tests"
RUNBOOKS = ROOT / "docs/runbooks"
METRICS = ROOT / "docs/metrics.md"
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"

ALERTS = {
    "ControlFailed": "ticket",
    "DictionaryStale": "ticket",
    "DriftedShareHigh": "ticket",
    "EvaluationFailed": "ticket",
    "EvaluationStale": "ticket",
    "ExporterReadingOld": "page",
    "FeatureDrifted": "page",
    "FeatureUntrusted": "ticket",
    "OutboxStuck": "page",
    "WorkerAbsent": "page",
}
DASHBOARDS = {"fleet", "model-line", "feature", "service"}


class FullState:
    """A refresher whose reading has something of every kind."""

    def state(self) -> State:
        """The state that a scrape sees."""
        key = MonitorKey("support-bot", "nightly")
        moment = datetime(2026, 11, 22, tzinfo=UTC)
        durations = Durations((0,) * len(DURATION_BOUNDS) + (1,), 1.0)
        reading = Reading(
            latest=(
                Latest(
                    key,
                    evaluation="e",
                    checkpoint="v2",
                    registered=moment,
                    digest="d",
                    baseline="v1",
                    comparisons=(
                        Comparison("baseline", {"stable": 1}, (0.0, 0.0, 0.1), {"0.5": 0.1}, 0, 0),
                    ),
                    features=(
                        WatchedFeature(
                            "quotes",
                            "drifted",
                            0.1,
                            0.9,
                            0.0,
                            paged=True,
                            slow_drift=False,
                            drift=Drift("identity", "identity_sparse", "lost", 2.0),
                        ),
                    ),
                    dictionaries=(Health("sae-4", 0.1, 16.0, 0.0, stale=False),),
                    controls={"no_op": True},
                ),
            ),
            activity=(
                Activity(
                    key,
                    page_budget_remaining=1.0,
                    states={"succeeded": 1},
                    durations={"succeeded": durations},
                    last_success=moment,
                    newest_failed=False,
                    gate="pass",
                    unjudged_since=moment,
                    alerts={("page", "open"): 0},
                ),
            ),
            newest_checkpoints=(CheckpointInfo("support-bot", "v2", "d"),),
            aliases=(CheckpointInfo("support-bot", "v1", "d", "production"),),
            registered={"support-bot": moment},
            outbox_oldest_age=0.0,
            shards={"queued": 0, "running": 0},
            shards_oldest_queued_age=0.0,
            webhook_deliveries={"pending": 0, "failed": 0},
            left_out={"monitors": 0},
            snapshots={"support-bot": (2, 1024)},
        )
        return State(reading, 1.0, 0, {("support-bot", "nightly", "succeeded"): 1})


def exported() -> set[str]:
    """Names of all samples of a full reading."""
    metrics = list(ReadingCollector(FullState()).collect())  # type: ignore[arg-type]
    assert all(metric.samples for metric in metrics), "a metric without a sample says nothing"
    return {sample.name for metric in metrics for sample in metric.samples}


ELSEWHERE = {
    metric.name
    for metric in RequestMetrics().registry.collect()
    if metric.name.startswith("featuredrift_")
}
"""What the API exports of itself."""


def rules() -> Iterator[dict[str, Any]]:
    """All rules as they are written."""
    for path in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def named_in(text: str) -> set[str]:
    """Metrics that an expression or a template names."""
    return set(re.findall(r"\bfeaturedrift[_:][a-z0-9_:]+", text))


def alerts() -> list[dict[str, Any]]:
    """The alert rules."""
    return [rule for rule in rules() if "alert" in rule]


def test_every_metric_in_a_rule_is_exported_or_recorded_before() -> None:
    exporter, recorded = exported(), set[str]()
    for rule in rules():
        name = rule.get("record")
        unknown = named_in(rule["expr"]) - exporter - recorded - {name}
        assert not unknown, f"{name or rule['alert']} reads {unknown}, which nothing exports"
        if name:
            recorded.add(name)


def test_every_recorded_condition_raises_an_alert_or_is_read_by_another() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    read = {
        name for rule in rules() for name in named_in(rule["expr"]) if name != rule.get("record")
    }
    assert recorded <= read


def test_annotations_read_only_what_is_exported() -> None:
    templates = [text for rule in alerts() for text in rule["annotations"].values()]
    links = {"featuredrift_url"}
    assert set().union(*map(named_in, templates)) - links <= exported()


def test_every_exported_metric_is_documented_and_the_reverse() -> None:
    rows = re.findall(r"^\| (`featuredrift_.*?) \|", METRICS.read_text(), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(featuredrift_[a-z0-9_]+)`", row)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported()}
    assert (families | ELSEWHERE) - documented == set(), "exported, not documented"
    assert documented - families - ELSEWHERE == set(), "documented, not exported"


def test_the_alerts_are_those_that_are_promised() -> None:
    assert {rule["alert"]: rule["labels"]["severity"] for rule in alerts()} == ALERTS


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: f"{rule['alert']}-{rule['expr']}")
def test_an_alert_says_what_where_and_what_to_do(rule: dict[str, Any]) -> None:
    name, annotations = rule["alert"], rule["annotations"]
    assert rule["for"]
    assert {"summary", "description", "runbook_url", "dashboard_url"} <= set(annotations)
    assert annotations["runbook_url"] == f"{{{{ $externalLabels.runbooks_url }}}}/{name}.md"
    board = re.search(r"/d/featuredrift-([a-z-]+)", annotations["dashboard_url"])
    assert board is not None
    assert board[1] in DASHBOARDS


def test_a_page_tells_every_change_and_diagnosis_in_words() -> None:
    (watched,) = (r for r in alerts() if r["labels"].get("scope") == "watched")
    told = watched["annotations"]["description"]
    assert set(WHAT) == set(ESTIMANDS)
    for estimand, words in WHAT.items():
        assert f'eq .Labels.estimand "{estimand}" }}}}{words}' in told
    for diagnosis in DIAGNOSES:
        assert f'eq . "{diagnosis}" }}}}: ' in told


def test_people_are_led_to_pages_and_programs_to_the_api() -> None:
    for rule in alerts():
        for name, url in rule["annotations"].items():
            assert ("/v1/" in url) == (name == "api_url"), (rule["alert"], name)


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_runbook_says_what_it_means_what_to_look_at_and_what_to_do(name: str) -> None:
    lines = (RUNBOOKS / f"{name}.md").read_text().splitlines()
    assert lines[0] == f"# {name}"
    # The first line is all that somebody reads who has just been woken.
    assert lines[2].startswith("**")
    headings = [line for line in lines if line.startswith("## ")]
    assert headings == ["## What it means", "## What to look at", "## What to do"]


def test_runbooks_name_only_metrics_that_there_are() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for page in RUNBOOKS.glob("*.md"):
        named = set(re.findall(r"\bfeaturedrift[_:][a-z0-9_:]*[a-z0-9]", page.read_text()))
        unknown = named - exported() - recorded - ELSEWHERE
        assert not unknown, f"{page.name} names {unknown}"


def test_every_alert_has_tests_of_firing_and_of_silence() -> None:
    assert {path.stem for path in RULE_TESTS.glob("*.yml")} == set(ALERTS)
    for path in RULE_TESTS.glob("*.yml"):
        checks = [
            check
            for case in yaml.safe_load(path.read_text())["tests"]
            for check in case.get("alert_rule_test", [])
        ]
        assert {check["alertname"] for check in checks} == {path.stem}
        assert any(check["exp_alerts"] for check in checks)
        assert any(not check["exp_alerts"] for check in checks)


def run(*command: str | Path) -> str:
    """What a tool says; its complaint where it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_accepts_configuration_and_rules(tmp_path: Path) -> None:
    folder = tmp_path / "prometheus"
    shutil.copytree(ROOT / "deploy/prometheus", folder)
    # The check wants the file to be there, which Compose mounts.
    key = tmp_path / "key"
    key.touch()
    configuration = folder / "prometheus.yml"
    text = configuration.read_text()
    assert "/run/secrets/featuredrift_metrics_key" in text
    configuration.write_text(text.replace("/run/secrets/featuredrift_metrics_key", str(key)))

    run(tool("promtool"), "check", "config", configuration)


def test_a_scrape_is_bounded() -> None:
    jobs = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    ours = {job["job_name"]: job for job in jobs if job["job_name"].startswith("featuredrift-")}
    assert set(ours) == {"featuredrift-exporter", "featuredrift-api"}
    assert all(job["sample_limit"] and job["label_value_length_limit"] for job in ours.values())
    limit = re.search(r"`sample_limit: (\d+)`", METRICS.read_text())
    assert limit is not None
    assert int(limit[1]) == ours["featuredrift-exporter"]["sample_limit"]


def test_alertmanager_accepts_its_configuration() -> None:
    assert "SUCCESS" in run(tool("amtool"), "check-config", ALERTMANAGER)


@pytest.mark.parametrize(("severity", "receiver"), [("page", "pager"), ("ticket", "tickets")])
def test_a_severity_reaches_its_receiver(severity: str, receiver: str) -> None:
    for alert, own in ALERTS.items():
        if own == severity:
            found = run(
                *(tool("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}"),
                *(f"alertname={alert}", f"severity={severity}", "model=m", "monitor=n"),
            )
            assert found.strip() == receiver


def test_notifications_are_grouped_by_model_and_monitor() -> None:
    assert yaml.safe_load(ALERTMANAGER.read_text())["route"]["group_by"] == ["model", "monitor"]


def test_inhibitions_name_alerts_that_there_are() -> None:
    for rule in yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, values = re.fullmatch(r'(\w+)=~?"([^"]+)"', matcher).groups()  # type: ignore[union-attr]
            assert label != "alertname" or set(values.split("|")) <= set(ALERTS)
