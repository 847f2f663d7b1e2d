"""The chart renders valid resources, and refuses what would not work or not be safe."""

import json
import re
import tomllib
from functools import cache
from typing import Any
from unittest.mock import patch

import kubernetes_validate
import pytest
import typer
import yaml
from kubernetes_validate import utils as schemas
from typer.main import get_command

from app.cli import app as command_line
from app.settings import Settings
from tests.unit.deploy import helm
from tests.unit.deploy.installed import ROOT
from tests.unit.deploy.shapes import EVERYTHING, SHAPES, WATCHED

CUSTOM = ("keda.sh/", "monitoring.coreos.com/")
READ_ONCE = cache(schemas.schema_contents)
"""Definitions of a megabyte, which the library reads for every resource."""


@pytest.mark.parametrize("name", SHAPES)
def test_lint_has_nothing_against_it(name: str) -> None:
    assert helm.lint(helm.merged(helm.MINIMAL, SHAPES[name])) == []


def follow_schema(resources: list[helm.Resource], version: str) -> None:
    builtin = [item for item in resources if not item["apiVersion"].startswith(CUSTOM)]

    assert builtin
    with patch.object(schemas, "schema_contents", READ_ONCE):
        for resource in builtin:
            kubernetes_validate.validate(resource, version, strict=True)


def test_each_resource_follows_the_schema_of_kubernetes(resources: list[helm.Resource]) -> None:
    follow_schema(resources, "1.37")


def test_and_of_the_oldest_one_that_is_supported(
    rendered: dict[str, list[helm.Resource]],
) -> None:
    chart = yaml.safe_load((helm.CHART / "Chart.yaml").read_text())

    assert chart["kubeVersion"] == ">=1.27.0-0"
    follow_schema(rendered["everything"], "1.27")


def test_the_schema_would_notice(rendered: dict[str, list[helm.Resource]]) -> None:
    deployment = json.loads(json.dumps(helm.of_kind(rendered["cpu"], "Deployment")["api"]))
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePulPolicy"] = "Always"

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, "1.34", strict=True)


def test_names_are_unique(resources: list[helm.Resource]) -> None:
    names = [(item["kind"], item["metadata"]["name"]) for item in resources]

    assert len(names) == len(set(names))


def test_chart_and_project_have_one_version() -> None:
    chart = yaml.safe_load((helm.CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert chart["appVersion"] == project["version"]
    assert chart["description"] == project["description"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"api": {"allowUnauthenticatedBind": False}}, "set api.allowUnauthenticatedBind=true"),
    ({"networkPolicy": {"enabled": False}}, "would open the API"),
    ({"database": {"existingSecret": ""}}, "Set database.existingSecret"),
    ({"redis": {"existingSecret": ""}}, "Set redis.existingSecret"),
    ({"artifacts": {"url": ""}}, "Set artifacts.url"),
    ({"gpuWorker": {"enabled": True}}, "cannot share a queue"),
    ({"worker": {"terminationGracePeriodSeconds": 60}}, "less than the time limit of a shard"),
    ({"settings": {"SHARD_HARD_LIMIT": 3000}}, "less than the time limit of a shard, 3000"),
    # By the schema of the values.
    ({"worker": {"replica": 3}}, "replica"),
    ({"api": {"port": 0}}, "port"),
    ({"image": {"api": {"tag": "latest"}}}, "tag"),
    ({"image": {"api": {"digest": "sha256:1"}}}, "digest"),
    ({"artifacts": {"url": "file:///tmp"}}, "url"),
    ({"settings": {"HOST": "0.0.0.0"}}, "propertyName 'HOST'"),  # noqa: S104 - it is refused
    ({"settings": {"log_level": "info"}}, "propertyName 'log_level'"),
    ({"extraEnv": {"FEATUREDRIFT_HOST": "::"}}, "propertyName 'FEATUREDRIFT_HOST'"),
    ({"worker": {"cacheSize": "much"}}, "cacheSize"),
    ({"monitoring": {"serviceMonitor": {"interval": "15"}}}, "interval"),
]


@pytest.mark.parametrize(("values", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_it_refuses_and_says_why(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(helm.ChartError, match=re.escape(reason)):
        helm.render(values)


def test_the_schema_knows_every_default() -> None:
    schema = json.loads((helm.CHART / "values.schema.json").read_text())
    values = yaml.safe_load((helm.CHART / "values.yaml").read_text())

    def known(node: dict[str, Any], rules: dict[str, Any], path: str) -> None:
        # Limits and requests need not both be given.
        if "properties" in rules and not path.endswith("resources."):
            assert set(node) == set(rules["properties"]) - {"global"}, path
            for key, value in node.items():
                if isinstance(value, dict):
                    known(value, rules["properties"][key], f"{path}{key}.")

    known(values, schema, "")


def test_each_pod_has_as_little_power_as_it_can(resources: list[helm.Resource]) -> None:
    for component, pod in helm.pods(resources).items():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, component
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert {next(iter(set(v) - {"name"})) for v in pod["volumes"]} <= {
            *("emptyDir", "persistentVolumeClaim"),
        }
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "privileged": False,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]["cpu"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_no_image_is_left_to_chance(resources: list[helm.Resource]) -> None:
    for component, pod in helm.pods(resources).items():
        image = pod["containers"][0]["image"]
        assert re.search(r":\d+\.\d+\.\d+(-cpu|-cuda)?$|@sha256:[0-9a-f]{64}$", image), component


def variables(pod: helm.Resource) -> dict[str, Any]:
    return {item["name"]: item for item in pod["containers"][0]["env"]}


def test_each_variable_of_ours_is_a_setting(resources: list[helm.Resource]) -> None:
    for component, pod in helm.pods(resources).items():
        names = [item["name"] for item in pod["containers"][0]["env"]]
        assert len(names) == len(set(names)), component
        for name, item in variables(pod).items():
            if name in EVERYTHING["extraEnv"]:
                continue
            field = name.removeprefix("FEATUREDRIFT_").lower()
            assert field in Settings.model_fields, f"{component}: {name}"
            if "value" in item:
                assert isinstance(item["value"], str)
                Settings(**{field: item["value"]})
            else:
                keys = {f"FEATUREDRIFT_{key}_KEY" for key in ("BOOTSTRAP", "METRICS")}
                secret = keys | {"FEATUREDRIFT_KEY_PEPPER", "DATABASE_URL", "REDIS_URL"}
                assert name in secret


def test_the_names_that_the_values_must_not_set_are_those_that_the_chart_sets(
    rendered: dict[str, list[helm.Resource]],
) -> None:
    schema = json.loads((helm.CHART / "values.schema.json").read_text())
    refused = schema["properties"]["settings"]["propertyNames"]["not"]["enum"]
    own = {
        name.removeprefix("FEATUREDRIFT_")
        for shape in ("everything", "gpu", "keyed")
        for pod in helm.pods(rendered[shape]).values()
        for name in variables(pod)
    }

    others = {
        "PUBLIC_URL",
        "ARTIFACT_CACHE_BYTES",
        *EVERYTHING["settings"],
        *EVERYTHING["extraEnv"],
    }
    assert set(refused) == own - others


def test_each_command_exists(resources: list[helm.Resource]) -> None:
    commands = get_command(command_line)
    assert isinstance(commands, typer.core.TyperGroup)
    for pod in helm.pods(resources).values():
        command, *arguments = pod["containers"][0]["args"]
        commands.commands[command].make_parser(typer.Context(commands)).parse_args(arguments)


def test_passwords_come_from_secrets_that_are_there_already(
    resources: list[helm.Resource],
) -> None:
    assert "Secret" not in {item["kind"] for item in resources}
    assert not re.search(r"://[^/\s:@]*:[^@\s]+@", json.dumps(resources))


def test_what_only_reads_gets_the_role_that_only_reads(
    rendered: dict[str, list[helm.Resource]],
) -> None:
    everything = helm.pods(rendered["everything"])
    secrets = {
        component: variables(pod)["DATABASE_URL"]["valueFrom"]["secretKeyRef"]["name"]
        for component, pod in everything.items()
    }

    assert {name for name, secret in secrets.items() if secret == "reader"} == {"exporter"}
    assert {name for name, pod in everything.items() if "REDIS_URL" in variables(pod)} == {
        *("dispatcher", "worker"),
    }
    given = {
        name: [source["secretRef"]["name"] for source in pod["containers"][0].get("envFrom", [])]
        for name, pod in everything.items()
    }
    assert given == {
        "api": ["s3", "mlflow"],
        "dispatcher": ["s3"],
        "worker": ["s3"],
        "exporter": [],
        "migrate": [],
    }
    authentication = helm.of_kind(rendered["everything"], "TriggerAuthentication")["worker"]
    assert authentication["spec"]["secretTargetRef"] == [
        {"parameter": "connection", "name": "reader", "key": "database-url"}
    ]


def test_the_database_is_migrated_before_anything_else(
    rendered: dict[str, list[helm.Resource]],
) -> None:
    job = helm.of_kind(rendered["cpu"], "Job")["migrate"]

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    # The release's own account is made after hooks that run before the installation.
    assert pod["serviceAccountName"] == "default"
    assert pod["restartPolicy"] == "Never"
    assert "Job" not in {item["kind"] for item in rendered["little"]}


def test_probes_ask_what_they_are_about(rendered: dict[str, list[helm.Resource]]) -> None:
    pods = helm.pods(rendered["cpu"])
    api, exporter = (pods[name]["containers"][0] for name in ("api", "exporter"))

    assert api["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert api["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert exporter["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    for name in ("dispatcher", "worker"):
        assert not any(key.endswith("Probe") for key in pods[name]["containers"][0])


def test_a_gpu_worker_asks_for_its_gpus(rendered: dict[str, list[helm.Resource]]) -> None:
    pods = helm.pods(rendered["gpu"])

    assert "worker" not in pods
    container = pods["gpu-worker"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert variables(pods["gpu-worker"])["FEATUREDRIFT_DEVICE"]["value"] == "cuda"
    assert container["image"].endswith("-cuda")


def test_workers_of_two_releases_never_share_the_queue(
    rendered: dict[str, list[helm.Resource]],
) -> None:
    for shape, component in (("cpu", "worker"), ("gpu", "gpu-worker")):
        deployment = helm.of_kind(rendered[shape], "Deployment")[component]
        assert deployment["spec"]["strategy"] == {"type": "Recreate"}
        grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert grace > Settings.model_fields["shard_hard_limit"].default


def test_disruptions_take_one_pod_at_a_time(rendered: dict[str, list[helm.Resource]]) -> None:
    budgets = helm.of_kind(rendered["cpu"], "PodDisruptionBudget")

    assert set(budgets) == {"api", "dispatcher", "worker"}
    for component, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        deployment = helm.of_kind(rendered["cpu"], "Deployment")[component]
        assert budget["spec"]["selector"] == deployment["spec"]["selector"]


@pytest.mark.parametrize(
    ("shape", "component", "concurrency"),
    [("scaled", "worker", 1), ("scaled gpu", "gpu-worker", 2)],
)
def test_workers_scale_on_open_shards(
    rendered: dict[str, list[helm.Resource]], shape: str, component: str, concurrency: int
) -> None:
    deployment = helm.of_kind(rendered[shape], "Deployment")[component]
    scaled = helm.of_kind(rendered[shape], "ScaledObject")[component]

    # A number of its own would fight the scaler's at each upgrade.
    assert "replicas" not in deployment["spec"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    [trigger] = scaled["spec"]["triggers"]
    assert trigger["type"] == "postgresql"
    assert trigger["metricType"] == "AverageValue"
    assert trigger["metadata"]["targetQueryValue"] == str(concurrency)
    authentication = helm.of_kind(rendered[shape], "TriggerAuthentication")[component]
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert all(isinstance(value, str) for value in trigger["metadata"].values())


def test_the_notes_say_who_can_call_the_api() -> None:
    closed = helm.notes(helm.MINIMAL)
    opened = helm.notes(helm.merged(helm.MINIMAL, WATCHED))

    assert "nobody in the cluster can call it" in closed
    assert "http://watch-featuredrift-api.ml:8321" in closed
    assert "nobody in the cluster" not in opened
