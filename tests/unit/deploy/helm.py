"""Helm's own engine on the chart, in a process of its own: it brings Go's runtime along."""

import atexit
import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import yaml

from tests.unit.deploy.installed import ROOT

CHART = ROOT / "deploy" / "helm" / "featuredrift"
Resource = dict[str, Any]

MINIMAL: dict[str, Any] = {
    "api": {"allowUnauthenticatedBind": True},
    "database": {"existingSecret": "postgres"},
    "redis": {"existingSecret": "redis"},
    "artifacts": {"url": "s3://bucket/featuredrift"},
}
"""The least that must be said."""


class ChartError(Exception):
    """Helm refuses; the message is its own."""


_PROGRAM = """
import json, sys
import helm_python as helm

for line in sys.stdin:
    order = json.loads(line)
    try:
        if order["action"] == "lint":
            answer = helm.lint(order["chart"], order["values"], strict=True)
        else:
            with helm.Chart.load(order["chart"]) as chart:
                chart.validate_schema(order["values"])
                answer = chart.render(order["values"], name="watch", namespace="ml")
    except helm.HelmError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
"""


def merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Values laid over each other, later ones on top."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            under = result.get(key)
            both = isinstance(under, dict) and isinstance(value, dict)
            result[key] = merged(under, value) if both else value
    return result


@cache
def _engine() -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    # It ends with its input.
    atexit.register(process.communicate)
    return process


def _ask(action: str, values: dict[str, Any]) -> dict[str, Any]:
    engine = _engine()
    assert engine.stdin
    assert engine.stdout
    order = {"action": action, "chart": os.fspath(CHART), "values": values}
    print(json.dumps(order), file=engine.stdin, flush=True)
    line = engine.stdout.readline()
    if not line:
        raise RuntimeError(f"Helm's engine ended with status {engine.wait()}")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise ChartError(answer["error"])
    return answer


def lint(values: dict[str, Any]) -> list[str]:
    """What `helm lint --strict` has against the chart: warnings and errors."""
    report = _ask("lint", values)
    return report["errors"] + [
        message["error"] for message in report["messages"] if message["severity"] >= 2
    ]


def notes(values: dict[str, Any]) -> str:
    """What Helm tells after an installation."""
    return str(_ask("render", values)["featuredrift/templates/NOTES.txt"])


def render(*layers: dict[str, Any]) -> list[Resource]:
    """The chart's resources with these values over the minimal ones.

    Raises:
        ChartError: the values do not follow the schema, or a template refuses them.
    """
    manifests = _ask("render", merged(MINIMAL, *layers))
    return [
        resource
        for path, text in sorted(manifests.items())
        if path.endswith((".yaml", ".yml"))
        for resource in yaml.safe_load_all(text)
        if resource
    ]


def of_kind(resources: list[Resource], kind: str) -> dict[str, Resource]:
    """Component → its resource of a kind; without a component, by name."""
    found: dict[str, Resource] = {}
    for resource in resources:
        if resource["kind"] == kind:
            metadata = resource["metadata"]
            component = metadata["labels"].get("app.kubernetes.io/component", "")
            key = component or metadata["name"]
            assert key not in found, key
            found[key] = resource
    return found


def pods(resources: list[Resource]) -> dict[str, Resource]:
    """Component → the pod of its Deployment or Job."""
    return {
        component: workload["spec"]["template"]["spec"]
        for kind in ("Deployment", "Job")
        for component, workload in of_kind(resources, kind).items()
    }
