"""In what is deployed, everybody who writes a link knows where people reach the API."""

import yaml

from app.settings import Settings
from tests.unit.deploy import compose, helm
from tests.unit.deploy.installed import ROOT

WRITERS = ("api", "dispatcher", "worker", "gpu-worker")
VARIABLE = "FEATUREDRIFT_PUBLIC_URL"
PUBLIC = "https://drift.example.com"


def test_compose_tells_all_who_write_links() -> None:
    services = compose.load(PUBLIC_URL=PUBLIC)["services"]
    for name in WRITERS:
        given = compose.environment(services[name])
        assert given[VARIABLE] == PUBLIC
        settings = Settings(
            public_url=given[VARIABLE], runbook_url=given["FEATUREDRIFT_RUNBOOK_URL"]
        )
        assert settings.runbook_url == f"{PUBLIC}/runbooks"


def test_the_chart_tells_all_who_write_links() -> None:
    enabled = {"gpuWorker": {"enabled": True}, "worker": {"enabled": False}}
    for values in ({}, enabled, {"settings": {"PUBLIC_URL": PUBLIC}}):
        pods = helm.pods(helm.render(values))
        names = [name for name in WRITERS if name in pods]
        assert {"api", "dispatcher"} < set(names)
        for name in names:
            given = {item["name"]: item.get("value") for item in pods[name]["containers"][0]["env"]}
            assert given[VARIABLE].startswith("http")
            assert values.get("settings", {}).get("PUBLIC_URL", given[VARIABLE]) == given[VARIABLE]


def test_prometheus_links_where_the_service_does() -> None:
    text = (ROOT / "deploy/prometheus/prometheus.yml").read_text()
    labels = yaml.safe_load(text)["global"]["external_labels"]
    settings = Settings(public_url=labels["featuredrift_url"])
    assert labels["runbooks_url"] == settings.runbook_url
