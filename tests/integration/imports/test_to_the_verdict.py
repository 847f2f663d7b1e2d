"""What a newcomer has, imported and watched: the documentation's way, and one to the verdict."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.client import Client
from app.settings import Settings
from tests.integration.cli.commands import Terminal
from tests.integration.imports.conftest import OWN
from tests.integration.imports.hub import Hub
from tests.support.deployment import CONTROLS_TO_CHOOSE, documents

PAGE = Path(__file__).parents[3] / "docs" / "importing.md"


@pytest.mark.timeout(1200)
def test_the_page_on_importing_does_what_it_shows(
    service: tuple[str, Settings], hub: Hub, tmp_path: Path, client: Client
) -> None:
    url, settings = service
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    assert len(blocks) >= 15
    environment = {
        **os.environ,
        "FEATUREDRIFT_URL": url,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(PAGE.parents[1]),
    }
    said = []
    for language, block in blocks:
        block = block.replace("/models/", f"{settings.allowed_roots[0]}/")
        if language == "python":
            command = [sys.executable, "-W", "ignore", "-c", _with_earlier(blocks, block)]
        else:
            command = ["bash", "-euo", "pipefail", "-c", block]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400
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
    verdicts = {row.feature: row.verdict for row in client.evaluations.verdicts(evaluation.id)}
    assert evaluation.state == "succeeded"
    assert set(verdicts) == set(kept)


def _with_earlier(blocks: list[tuple[str, str]], block: str) -> str:
    """A piece that uses the estimator of an earlier one, after that one."""
    if not re.search(r"\bprobe\b", block) or "probe = " in block:
        return block
    earlier = next(text for language, text in blocks if language == "python" and "probe = " in text)
    return f"{earlier}\n{block}"


@pytest.mark.timeout(600)
def test_imported_corpus_direction_and_latents_reach_a_verdict(
    terminal: Terminal, client: Client, service: tuple[str, Settings]
) -> None:
    models = service[1].allowed_roots[0]
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
    terminal.ok("features", "import", "saelens", "own", OWN, "first")
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
