"""The whole way with the client and the command line, while a real worker works."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client import Client
from app.settings import Settings
from tests.integration.embedded.up import command, environment
from tests.support.deployment import World, documents, features_of_all_kinds
from tests.support.serving import serving


@pytest.fixture
def client(world: World, deployment_settings: Settings) -> Iterator[Client]:
    """A client of the API beside the worker."""
    with serving(deployment_settings) as url, Client(url) as client:
        yield client


def test_from_an_empty_line_to_a_table_in_a_notebook(
    client: Client, checkpoints: dict[str, Path]
) -> None:
    client.models.create("notebook")
    client.checkpoints.register("notebook", "base", str(checkpoints["base"]))
    client.aliases.put("notebook", "baseline", "base")
    client.corpora.create("notebook-probes", documents=documents())
    client.dictionaries.create("notebook-sae", str(checkpoints["dictionary"]))
    features = features_of_all_kinds("notebook-sae")
    client.feature_sets.publish("notebook-features", features)
    client.monitors.create(
        "notebook-monitor",
        model="notebook",
        corpus="notebook-probes",
        feature_set="notebook-features",
        baseline={"alias": "baseline"},
    )

    registration = client.checkpoints.register("notebook", "other", str(checkpoints["other"]))
    (evaluation,) = registration.checkpoint.evaluations
    seen = list(client.evaluations.watch(evaluation, timeout=200, interval=0.2))

    assert [found.state for found in seen][-1] == "succeeded", seen[-1].error
    done = [found.progress.shards_done for found in seen]
    assert len(seen) > 2
    assert done == sorted(done)
    comparison = client.evaluations.comparison(seen[-1])
    names = {feature["name"] for feature in features}
    assert set(comparison.to_pandas().index) == names
    page = comparison._repr_html_()
    assert all(name in page for name in names)
    assert client.checkpoints.wait_for_gate("notebook", "other", timeout=10).gate != "pending"
    (found,) = client.evaluations.passages(evaluation, feature="probe")
    assert found.passages
    probe = comparison["probe"].feature_id
    assert probe is not None
    assert {line.checkpoint for line in client.feature_sets.history(probe)} == {"other"}

    done_by_command = subprocess.run(
        command(
            *("checkpoints", "register", "notebook", "same", str(checkpoints["same"])),
            *("--watch", "--json"),
        ),
        capture_output=True,
        text=True,
        env=environment(FEATUREDRIFT_URL=client.url),
        timeout=200,
    )

    assert done_by_command.returncode == 0, done_by_command.stderr
    answer = json.loads(done_by_command.stdout)
    assert [each["state"] for each in answer["ended"]] == ["succeeded"]
    last = done_by_command.stderr.splitlines()[-1]
    assert last.startswith("notebook same succeeded, ")
