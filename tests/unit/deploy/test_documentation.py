"""What docs/deployment.md tells to write and to run is there."""

import re

import yaml

from app.settings import Settings
from tests.unit.deploy import compose, helm
from tests.unit.deploy.installed import ROOT

PAGE = (ROOT / "docs" / "deployment.md").read_text()


def test_the_example_of_values_renders() -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    values = yaml.safe_load(block)

    resources = helm.render(values)

    # Nothing but the example itself: what must be said is said in it.
    assert set(helm.MINIMAL) <= set(values)
    assert helm.of_kind(resources, "NetworkPolicy")["api"]["spec"]["ingress"]


def test_services_and_files_it_names_exist() -> None:
    services = compose.load()["services"]
    told = re.findall(
        r"docker compose (?:stop|run --rm|exec -T|up --detach --force-recreate) ([a-z -]+)", PAGE
    )
    names = {name for line in told for name in line.split() if name not in {"sh", "-c"}}

    assert {"worker", "gpu-worker", "migrate", "roles", "postgres"} <= names
    assert names <= set(services)
    for path in re.findall(r"`(deploy/[\w./-]+)`", PAGE):
        assert (ROOT / path).exists(), path
    for page in re.findall(r"\]\(([\w/-]+\.md)\)", PAGE):
        assert (ROOT / "docs" / page).exists(), page


def test_variables_it_names_are_settings_or_variables_of_the_stack() -> None:
    stack = set(compose.variables_of()) | {"COMPOSE_PROFILES"}
    elsewhere = {
        "PYTHON",
        "TORCH",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "FLUSHDB",
        "PGPASSWORD",
        "MODEL_ROOTS",
    }
    named = set(re.findall(r"`(?:FEATUREDRIFT_)?([A-Z][A-Z_]{4,})(?:=[^`]*)?`", PAGE))

    unknown = {name for name in named if name.lower() not in Settings.model_fields}
    assert len(named) > 10
    assert unknown <= stack | elsewhere


def test_secrets_it_lists_are_those_of_the_stack() -> None:
    section = PAGE.partition("## Secrets")[2].partition("## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}

    assert listed == set(compose.load()["secrets"])
