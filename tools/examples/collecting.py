"""From a data folder to the reports of the demo's evaluations."""

import sys
from pathlib import Path
from typing import Any

from app.embedded.stack import EmbeddedStack
from app.reports.model import Report
from tools.examples.kinds import KINDS, Kind
from workers.demo.client import Client

MONITOR = "code-concepts-"


class ExamplesError(Exception):
    """The examples cannot be made, or would not show what they are for."""


def collect(data_dir: Path) -> dict[str, Report]:
    """Run the demo where that was not done, then what the examples ask beside it.

    Raises:
        ExamplesError: the demo did not find what it should, or an example does not show its kind.
    """
    with EmbeddedStack(data_dir=data_dir, port=0, report=_say) as stack:
        work_dir = stack.settings.allowed_roots[0] / "demo"
        program = (sys.executable, "-m", "workers.demo", "--base-url", stack.base_url)
        if stack.run((*program, "--work-dir", str(work_dir))):
            raise ExamplesError("the demo did not find what it should; see what it wrote above")
        with Client(stack.base_url) as client:
            monitor = _demo_monitor(client)
            return {kind.name: _report(client, monitor, kind) for kind in KINDS}


def _demo_monitor(client: Client) -> dict[str, Any]:
    """The demo's monitor; of several builds in one folder, the newest."""
    found = client.get("/monitors", limit=500)["items"]
    ours = [one for one in found if _is_demo(one["name"])]
    newest: dict[str, Any] = max(ours, key=lambda one: one["created_at"])
    return newest


def _is_demo(name: str) -> bool:
    return name.startswith(MONITOR) and "-" not in name.removeprefix(MONITOR)


def _report(client: Client, demo: dict[str, Any], kind: Kind) -> Report:
    monitor = demo["name"] if kind.features is None else _own_monitor(client, demo, kind)
    _say(f"example: {kind.name}, checkpoint {kind.checkpoint} by {monitor}")
    asked = {"monitor": monitor, "checkpoint": kind.checkpoint}
    evaluation = client.post("/evaluations", asked)["id"]
    while (found := client.wait_for_evaluation(evaluation))["state"] in {"queued", "running"}:
        pass
    if found["state"] != "succeeded":
        raise ExamplesError(f"the evaluation for {kind.name!r} {found['state']}: {found['error']}")
    report = Report.model_validate(client.get(f"/evaluations/{evaluation}/report.json"))
    verdicts = {feature.verdict for feature in report.features}
    if report.headline.outcome != kind.outcome or kind.verdict not in verdicts:
        raise ExamplesError(
            f"the example {kind.name!r} is to be {kind.outcome} with a feature {kind.verdict}; it "
            f"is {report.headline.outcome} with {', '.join(sorted(verdicts))}"
        )
    return report


def _own_monitor(client: Client, demo: dict[str, Any], kind: Kind) -> str:
    """A monitor beside the demo's, on some of its features; found if it was made before."""
    wanted = kind.features or {}
    chosen, digest = demo["feature_set"], demo["name"].removeprefix(MONITOR)
    version = client.get(
        f"/feature-sets/{chosen['name']}/versions/{chosen['version']}/features", limit=500
    )
    definitions = {one["name"]: one["definition"] for one in version["items"]}
    features = [{**definitions[name], "concept": concept} for name, concept in wanted.items()]
    name = f"{kind.name}-example-{digest}"
    made = client.post("/feature-sets", {"name": name, "features": features})
    client.post(
        "/monitors",
        {
            "name": name,
            "model": demo["model"],
            "corpus": demo["corpus"],
            "feature_set": {"name": name, "version": made["version"]},
            "baseline": demo["baseline"],
            "policy": kind.policy or {},
            "enabled": False,
        },
    )
    return name


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
