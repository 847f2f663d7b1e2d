"""The main job through `featuredrift up` alone: weights in, verdict, gate and metrics out."""

import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.integration.embedded.up import command, environment, running_up, wait_for
from tests.support.deployment import documents, features_of_all_kinds, save_dictionary
from tests.support.models import save_checkpoint


def test_a_checkpoint_goes_in_and_a_verdict_comes_out(data_dir: Path) -> None:
    models = data_dir / "models"
    models.mkdir(parents=True)
    sources = {
        "base": save_checkpoint(models / "base"),
        "same": save_checkpoint(models / "same"),
        "other": save_checkpoint(models / "other", seed=1),
    }
    dictionary = save_dictionary(models / "dictionary")
    small = {"FEATUREDRIFT_SEQUENCE_LENGTH": "64", "FEATUREDRIFT_BATCH_TOKENS": "512"}

    with (
        running_up(data_dir, FEATUREDRIFT_THREADS="1", **small) as up,
        httpx.Client(base_url=up.base_url, timeout=60) as client,
    ):

        def post(path: str, body: dict[str, Any]) -> None:
            response = client.post(path, json=body)
            assert response.is_success, response.text

        def check(name: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                command("check", "bot", name, "--source", str(sources[name]), "--wait", "3m"),
                capture_output=True,
                text=True,
                timeout=200,
                env=environment(FEATUREDRIFT_URL=up.base_url),
            )

        post("/v1/models", {"name": "bot"})
        post("/v1/models/bot/checkpoints", {"name": "base", "source": str(sources["base"])})
        post("/v1/corpora", {"name": "corpus", "documents": documents()})
        post("/v1/dictionaries", {"name": "sae", "source": str(dictionary)})
        # Random features that claim a concept would be found out, and rightly be untrusted.
        features = [
            {key: value for key, value in feature.items() if key != "concept"}
            for feature in features_of_all_kinds("sae")
        ]
        post("/v1/feature-sets", {"name": "set", "features": features})
        monitor = {
            "name": "watch",
            "model": "bot",
            "corpus": "corpus",
            "feature_set": {"name": "set"},
            "baseline": {"checkpoint": "base"},
            "watchlist": ["probe", "direction"],
            "policy": {"min_active_documents": 10, "fvu_max": 1000.0},
        }
        post("/v1/monitors", monitor)
        same = check("same")
        other = check("other")

        def metrics() -> str:
            return client.get("/metrics").text

        wait_for(lambda: 'checkpoint="other"' in metrics())
        shown = metrics()

    assert same.returncode == 0, same.stdout + same.stderr
    assert other.returncode == 1, other.stdout + other.stderr
    assert "features have drifted from the baseline" in other.stdout
    verdict = 'featuredrift_feature_verdict{feature="probe",model="bot",monitor="watch"'
    assert f'{verdict},verdict="drifted"}} 1.0' in shown
    assert 'featuredrift_evaluations_total{model="bot",monitor="watch",status="succeeded"} 2.0' in (
        shown
    )
    assert 'featuredrift_control_failed{control="no_op",model="bot",monitor="watch"} 0.0' in shown
