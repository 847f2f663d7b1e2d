"""What a newcomer has, imported and watched: the documentation's way, and one to the verdict."""

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.client import Client
from app.settings import Settings
from tests.integration.cli.commands import Terminal
from tests.integration.imports.conftest import OWN, RELEASE, SAE_ID
from tests.integration.imports.fetching import describe_releases, load_dictionaries
from tests.integration.imports.hub import Hub
from tests.support.deployment import (
    CONTROLS_TO_CHOOSE,
    SITE,
    dispatching,
    documents,
    fault_environment,
    working,
)
from tests.support.forked import ForkedProcess

PAGE = Path(__file__).parents[3] / "docs" / "importing.md"


@pytest.fixture(scope="module")
def worked(
    service: tuple[str, Settings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Settings]]:
    """The service, with a worker."""
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    with dispatching(service[1]), working(service[1], log, forked=True):
        yield service


@pytest.mark.timeout(600)
def test_the_page_on_importing_does_what_it_shows(
    service: tuple[str, Settings],
    hub: Hub,
    tmp_path: Path,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, settings = service
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    assert len(blocks) >= 15
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATUREDRIFT_URL", url)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    said = []
    session: dict[str, Any] = {}
    for language, block in blocks:
        block = block.replace("/models/", f"{settings.allowed_roots[0]}/")
        # What a worker makes of it is the next test's.
        block = re.sub(r" --watch$", "", block, flags=re.M)
        if language == "python":
            # One after the other, as in a notebook.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(compile(block, str(PAGE), "exec"), session)  # noqa: S102 - our own page
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block], capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout + done.stderr)
    everything = "\n".join(said)
    assert "line 1: label 'phone': span [3, 9] is outside the text of 5 characters" in everything
    assert client.corpora.get("tickets").concepts["order"] == {"documents": 2, "spans": 2}
    assert client.corpora.get("reviews").concepts["positive"]["documents"] == 1
    latest = client.feature_sets.get("support").latest_version
    kept = {row.name: row.kind for row in client.feature_sets.features("support", latest)}
    assert kept == {
        "politeness": "direction",
        "urgency": "direction",
        "spam": "linear_probe",
        "1-res-jb.7": "sae_latent",
        "1-res-jb.11": "sae_latent",
    }
    (evaluation,) = client.evaluations.list(model="support-bot")
    assert (evaluation.checkpoint, evaluation.feature_set.version) == ("next", latest)
    client.evaluations.cancel(evaluation.id)


@pytest.mark.timeout(600)
def test_imported_corpus_direction_and_latents_reach_a_verdict(
    terminal: Terminal, client: Client, worked: tuple[str, Settings]
) -> None:
    models = worked[1].allowed_roots[0]
    Path("c.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents()))
    random = np.random.default_rng(0)
    save_file({"way": random.normal(size=16)}, "v.safetensors", metadata={"layer": "2"})
    Path("list.json").write_text(json.dumps(["tiny/1-own/3", "tiny/1-own/7"]))
    Path("policy.json").write_text(
        json.dumps(
            {
                "fvu_max": 1e9,
                "min_active_documents": 5,
                "controls": dict.fromkeys(CONTROLS_TO_CHOOSE, False),
                "baselines": False,
                "diagnosis": False,
            }
        )
    )
    terminal.ok("corpora", "import", "code", "c.jsonl")
    terminal.ok("features", "import", "directions", "mixed", "v.safetensors")
    # A dictionary that only the hub has: the worker must fetch it.
    terminal.ok("features", "import", "saelens", "own", OWN, "first", "--site", SITE)
    terminal.ok(
        *("features", "import", "neuronpedia", "mixed", "list.json", "--add"),
        *("--dictionary", "tiny/1-own=own", "--concept", "tiny/1-own/7=comment"),
    )
    terminal.ok("models", "create", "bot")
    terminal.ok("checkpoints", "register", "bot", "base", models / "base")
    terminal.ok("checkpoints", "alias", "bot", "baseline", "base")
    terminal.ok(
        *("monitors", "create", "watch", "--model", "bot", "--corpus", "code"),
        *("--feature-set", "mixed", "--policy", "policy.json"),
    )
    made = terminal.ok(
        *("checkpoints", "register", "bot", "next", models / "next", "--watch", "--json")
    )
    (evaluation,) = json.loads(made)["evaluations"]
    rows = {row.feature: row for row in client.evaluations.verdicts(evaluation)}
    assert set(rows) == {"way", "1-own.3", "1-own.7"}
    # Other random weights: everything that can be judged has moved.
    assert {row.verdict for row in rows.values()} == {"drifted"}
    assert rows["1-own.7"].concept_auroc_baseline is not None
    assert client.dictionaries.get("own").digest is not None


def test_what_the_hub_does_not_have_fails_at_once(
    hub: Hub, service: tuple[str, Settings], tmp_path: Path
) -> None:
    hub.gated.add("acme/closed")
    names = (
        *(f"{RELEASE}/{SAE_ID}", f"{OWN}/first"),
        *(f"{OWN}/none", "acme/none/x", "acme/closed/x", f"{RELEASE}/none"),
    )
    loaded, described = tmp_path / "loaded", tmp_path / "described"
    environment = fault_environment(service[1], None)
    for question, arguments in (
        (load_dictionaries, (names, str(tmp_path), str(loaded))),
        (describe_releases, (names, str(described))),
    ):
        process = ForkedProcess(question, arguments, env=environment, log=tmp_path / "log")
        assert process.wait(200) == 0
    assert loaded.read_text().splitlines() == [
        *(f"24 {SAE_ID}", f"24 {SITE}", "source_missing", "source_missing", "hub_refused"),
        "source_missing",
    ]
    found = [json.loads(line) for line in described.read_text().splitlines()]
    assert [one["site"] for one in found[:2]] == [SAE_ID, SITE]
    for one, why in zip(
        found[2:],
        ("no configuration of that id", "no such repository", "it is gated", "has no dictionary"),
        strict=True,
    ):
        assert why in one["error"]
