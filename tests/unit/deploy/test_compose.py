"""The compose stack is valid, hardened, and speaks of settings and commands that exist."""

import json
import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml
from typer.main import get_command

from app.cli import app as command_line
from app.settings import Settings
from tests.unit.deploy import compose
from tests.unit.deploy.installed import ROOT

SERVICES: dict[str, Any] = compose.load()["services"]
EACH = pytest.mark.parametrize("name", SERVICES)
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
ONE_SHOT = {"migrate", "roles"}
FILES = [ROOT / "docker-compose.yml", ROOT / "deploy" / "compose.s3.yml"]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The Compose specification's own schema, as check-jsonschema carries it."""
    path = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    return dict(json.loads(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_follows_the_specification(path: Path, schema: dict[str, Any]) -> None:
    document = compose.load(path, ARTIFACT_URL="s3://bucket/prefix")

    jsonschema.validators.validator_for(schema)(schema).validate(document)


def test_the_schema_would_notice(schema: dict[str, Any]) -> None:
    document = compose.load()
    document["services"]["api"]["read_olny"] = True

    with pytest.raises(jsonschema.ValidationError, match="read_olny"):
        jsonschema.validate(document, schema)


def test_it_has_all_processes() -> None:
    assert set(SERVICES) == {
        *("api", "dispatcher", "exporter", "worker", "gpu-worker", "migrate", "roles"),
        *("postgres", "redis", "prometheus", "alertmanager", "grafana"),
    }


@pytest.mark.parametrize("missing", ["SECRETS_DIR", "MODELS_DIR"])
def test_what_must_be_said_is_asked_for(missing: str) -> None:
    with pytest.raises(compose.MissingVariableError, match=f"set {missing}|Set {missing}"):
        compose.load(**{missing: ""})


def test_the_example_names_every_variable_and_no_other() -> None:
    example = (ROOT / "deploy" / "compose.env.example").read_text()
    named = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE))
    used = compose.variables_of() | compose.variables_of(FILES[1])

    assert set(named) == {*used, "COMPOSE_PROFILES"}
    required = {name for name, kind in compose.variables_of().items() if kind == "?"}
    assert all(named[name] == "" for name in required)
    assert named["COMPOSE_PROFILES"] == "cpu"


@EACH
def test_each_service_has_as_little_power_as_it_can(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].partition(":")[0]) > 0
    assert not {"network_mode", "pid", "ipc"} & set(service)
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@EACH
def test_each_service_is_bounded_and_watched(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]

    assert set(limits) == {"cpus", "memory", "pids"}
    if name in ONE_SHOT:
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"] == "no"
    else:
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert service["restart"] == "unless-stopped"
    assert "max-size" in service["logging"]["options"]


@EACH
def test_each_image_is_pinned(name: str) -> None:
    repository, _, tag = SERVICES[name]["image"].partition(":")

    assert repository
    assert re.match(r"^v?\d+\.\d+(\.\d+)?(-\w+)?$", tag), tag
    if name in OURS:
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        assert tag.partition("-")[0] == version
        build = SERVICES[name]["build"]
        assert (ROOT / build["context"] / build["dockerfile"]).is_file()
        assert set(build.get("args", {})) <= {"TORCH"}


def test_only_loopback_is_published() -> None:
    published = {name: service.get("ports", []) for name, service in SERVICES.items()}

    assert {name for name, ports in published.items() if ports} == {
        *("api", "prometheus", "alertmanager", "grafana"),
    }
    for ports in published.values():
        assert all(str(port).startswith("127.0.0.1:") for port in ports)


def test_databases_and_workers_have_no_way_out() -> None:
    networks = compose.load()["networks"]
    internal = {name for name, options in networks.items() if options.get("internal")}

    assert internal == {"data", "metrics"}
    for name in ("postgres", "redis", "worker", "gpu-worker", "exporter", "migrate", "roles"):
        assert set(SERVICES[name]["networks"]) <= internal, name


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    else:
        yield str(node)


def test_no_password_is_written_anywhere() -> None:
    for name, service in SERVICES.items():
        for variable, value in compose.environment(service).items():
            if re.search("PASSWORD|SECRET|TOKEN|KEY", variable):
                assert value.startswith("/run/secrets/"), f"{name}: {variable}"
        for text in strings(service):
            assert not re.search(r"://[^/\s:@]*:[^@\s]+@", text), f"{name}: {text}"


def test_each_secret_is_defined_and_each_mount_is_used() -> None:
    defined = compose.load()["secrets"]
    for name, service in SERVICES.items():
        for secret in service.get("secrets", []):
            source = secret if isinstance(secret, str) else secret["source"]
            assert source in defined, name
        mounted = {
            secret if isinstance(secret, str) else secret["target"]
            for secret in service.get("secrets", [])
        }
        used = set(re.findall(r"/run/secrets/([\w.]+)", " ".join(strings(service))))
        assert used <= mounted, name


def test_only_what_writes_has_the_owner_of_the_database() -> None:
    holders = {name for name, service in SERVICES.items() if "database_url" in sources(service)}

    assert holders == {"migrate", "api", "dispatcher", "worker", "gpu-worker"}
    assert sources(SERVICES["exporter"]) == {"reader_database_url"}


def test_who_may_get_in_is_known_to_the_api_alone() -> None:
    api = SERVICES["api"]

    assert "FEATUREDRIFT_ALLOW_UNAUTHENTICATED_BIND" not in compose.environment(api)
    assert {"featuredrift_key_pepper", "featuredrift_bootstrap_key"} <= sources(api)
    for name in set(SERVICES) - {"api"}:
        assert not {"featuredrift_key_pepper", "featuredrift_bootstrap_key"} & sources(
            SERVICES[name]
        )
    assert "featuredrift_metrics_key" in sources(api) & sources(SERVICES["prometheus"])
    for name in sources(api) - {"database_url"}:
        assert name.removeprefix("featuredrift_") in Settings.model_fields


def sources(service: dict[str, Any]) -> set[str]:
    """Names of the secrets that a service gets."""
    return {
        secret if isinstance(secret, str) else secret["source"]
        for secret in service.get("secrets", [])
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_variable_of_ours_is_a_setting(path: Path) -> None:
    document = compose.load(path, ARTIFACT_URL="s3://bucket/prefix")
    for name, service in document["services"].items():
        for variable, value in compose.environment(service).items():
            if variable.startswith("FEATUREDRIFT_"):
                field = variable.removeprefix("FEATUREDRIFT_").lower()
                assert field in Settings.model_fields, f"{name}: {variable}"
                Settings(**{field: value})


def test_all_processes_agree_on_the_settings_they_share() -> None:
    shared = compose.load()["x-settings"]

    for name in OURS:
        assert shared.items() <= compose.environment(SERVICES[name]).items(), name


def test_postgres_is_healthy_only_where_others_reach_it() -> None:
    """The image's first start has a server on the socket, which `migrate` cannot use."""
    assert "--host=127.0.0.1" in SERVICES["postgres"]["healthcheck"]["test"]


@pytest.mark.parametrize("name", OURS)
def test_each_command_exists(name: str) -> None:
    commands = get_command(command_line)
    assert isinstance(commands, typer.core.TyperGroup)
    command, *arguments = SERVICES[name]["command"]

    assert command in commands.commands
    commands.commands[command].make_parser(typer.Context(commands)).parse_args(arguments)


def test_a_worker_is_given_the_time_that_its_shard_may_take() -> None:
    grace = {SERVICES[name]["stop_grace_period"] for name in ("worker", "gpu-worker")}

    assert grace == {"31m"}
    assert Settings.model_fields["shard_hard_limit"].default < 31 * 60


def test_one_kind_of_worker_runs() -> None:
    assert SERVICES["worker"]["profiles"] == ["cpu"]
    assert SERVICES["gpu-worker"]["profiles"] == ["gpu"]
    devices = SERVICES["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def test_nothing_starts_before_the_schema_is_there() -> None:
    after = {
        name: {other for other, how in needs(service).items() if how.endswith("successfully")}
        for name, service in SERVICES.items()
    }

    for name in ("api", "dispatcher", "worker", "gpu-worker"):
        assert "migrate" in after[name]
    assert after["roles"] == {"migrate"}
    assert after["exporter"] == after["grafana"] == {"roles"}


def needs(service: dict[str, Any]) -> dict[str, str]:
    return {name: need["condition"] for name, need in service.get("depends_on", {}).items()}


@EACH
def test_each_mounted_file_of_the_repository_is_there(name: str) -> None:
    volumes = compose.load()["volumes"]
    for volume in SERVICES[name].get("volumes", []):
        source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
            assert volume.endswith(":ro")
        elif not source.startswith("/"):
            assert source in volumes


def test_prometheus_scrapes_services_of_the_stack_by_ports_they_listen_on() -> None:
    configuration = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    ports = {
        "api": Settings.model_fields["port"].default,
        "exporter": Settings.model_fields["exporter_port"].default,
        "prometheus": 9090,
        "alertmanager": 9093,
        "grafana": 3000,
    }
    known = {f"{name}:{port}" for name, port in ports.items()} | {"127.0.0.1:9090"}
    scraped = {
        target
        for job in configuration["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    }
    alerted = {
        target
        for manager in configuration["alerting"]["alertmanagers"]
        for group in manager["static_configs"]
        for target in group["targets"]
    }

    assert {"api:8321", "exporter:9321"} <= scraped <= known
    assert alerted == {"alertmanager:9093"}
    shared = set(SERVICES["prometheus"]["networks"])
    for target in scraped - {"127.0.0.1:9090"}:
        assert shared & set(SERVICES[target.partition(":")[0]]["networks"])


def provisioned(kind: str) -> list[dict[str, Any]]:
    folder = ROOT / "deploy" / "grafana" / "provisioning" / kind
    key = {"dashboards": "providers", "datasources": "datasources"}[kind]
    return [
        entry
        for path in sorted(folder.glob("*.y*ml"))
        for entry in yaml.safe_load(path.read_text())[key]
    ]


def test_grafana_finds_its_dashboards_where_they_are_mounted() -> None:
    mounted = {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}
    providers = provisioned("dashboards")

    assert providers
    assert all(provider["options"]["path"] in mounted for provider in providers)


def test_grafana_finds_its_data_sources_and_their_passwords() -> None:
    grafana = SERVICES["grafana"]
    datasources = provisioned("datasources")

    assert {source["type"] for source in datasources} == {
        *("prometheus", "grafana-postgresql-datasource"),
    }
    for source in datasources:
        host, port = source["url"].rpartition("/")[2].split(":")
        assert set(SERVICES[host]["networks"]) & set(grafana["networks"])
        assert port == {"prometheus": "9090", "postgres": "5432"}[host]
        for secret in re.findall(r"/run/secrets/([\w.]+)", json.dumps(source)):
            assert secret in sources(grafana)


def test_what_is_run_in_postgres_is_mounted_and_reads_secrets_that_are_there() -> None:
    roles = SERVICES["roles"]
    scripts = {volume.split(":")[1]: ROOT / volume.split(":")[0] for volume in roles["volumes"]}
    [names] = re.findall(r"for script in ([\w ]+);", roles["command"][0])

    assert set(scripts) == {f"/etc/featuredrift/{name}.sql" for name in names.split()}
    for path in scripts.values():
        used = re.findall(r"`cat /run/secrets/(\w+)`", path.read_text())
        assert used
        assert set(used) <= sources(roles)


def test_alertmanager_is_given_the_secrets_that_it_reads() -> None:
    text = (ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text()
    active = "\n".join(line.partition("#")[0] for line in text.splitlines())

    assert set(re.findall(r"/run/secrets/([\w.]+)", active)) <= sources(SERVICES["alertmanager"])
