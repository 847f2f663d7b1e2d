"""`featuredrift features suggest` against a running service, as a person would use it."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli import suggest as command
from app.settings import Settings
from tests.integration.cli.commands import Terminal
from tests.integration.suggest.conftest import suggest_here
from tests.integration.suggest.world import (
    AFTER_MARK,
    LATENTS,
    NAMED,
    PLANTED,
    documents,
)
from tests.support.deployment import CONTROLS_TO_CHOOSE, dispatching, working

ASK = ("features", "suggest", "bot", "base", "--dictionary", "layer-1", "--corpus", "probes")


def by_latent(found: dict[str, Any], concept: str) -> dict[int, dict[str, Any]]:
    (one,) = [one for one in found["concepts"] if one["concept"] == concept]
    return {proposal["latent"]: proposal for proposal in one["proposals"]}


def test_the_planted_latent_is_suggested_published_and_watched(
    line: Terminal, service: tuple[str, Settings], tmp_path: Path
) -> None:
    url, settings = service
    out = tmp_path / "feature_set.json"
    found = json.loads(line.ok(*ASK, "--out", out, "--register", "starters", "--json"))

    planted = by_latent(found, AFTER_MARK)[PLANTED]
    assert planted["recommended"]
    assert planted["auroc"]["lower"] > 0.9
    assert planted["auroc"]["lower"] < planted["auroc"]["value"] < planted["auroc"]["upper"]
    for proposal in by_latent(found, NAMED).values():
        assert not proposal["recommended"]
        assert "token alone" in " ".join(proposal["reasons"])
    (never,) = [one for one in found["concepts"] if one["concept"] == "never"]
    assert never["told"] is False
    method = found["method"]
    assert method["latents"] == LATENTS
    assert method["units_chosen_on"] + method["units_scored_on"] == method["units"]

    body = json.loads(out.read_text())
    assert found["registered"]["version"] == 1
    assert body["features"][0]["name"] == f"after-mark-latent{PLANTED}"
    assert body["features"][0]["concept"] == AFTER_MARK
    with httpx.Client(base_url=url) as api:
        again = api.post("/v1/feature-sets", json=body)
        assert again.status_code == 200, again.text
        assert again.json()["digest"] == found["registered"]["digest"]

    policy = tmp_path / "policy.json"
    policy.write_text(
        json.dumps(
            {
                "fvu_max": 1e9,
                "diagnosis": False,
                "baselines": False,
                "controls": dict.fromkeys(CONTROLS_TO_CHOOSE, False),
            }
        )
    )
    feature = body["features"][0]["name"]
    line.ok(
        *("monitors", "create", "watch", "--model", "bot", "--corpus", "probes"),
        *("--feature-set", "starters:1", "--watch", feature, "--policy", policy),
    )
    root = settings.allowed_roots[0]
    shutil.copytree(root / "marked", root / "marked-again")
    with dispatching(settings), working(settings, tmp_path / "worker.log", forked=True):
        made = json.loads(
            line.ok("checkpoints", "register", "bot", "next", root / "marked-again", "--json")
        )
        (evaluation,) = made["evaluations"]
        line.ok("evaluations", "watch", evaluation)
    with httpx.Client(base_url=url) as api:
        verdicts = api.get(f"/v1/evaluations/{evaluation}/verdicts?comparison=baseline").json()[
            "items"
        ]
    assert {verdict["feature"] for verdict in verdicts} == {f["name"] for f in body["features"]}
    (verdict,) = [verdict for verdict in verdicts if verdict["feature"] == feature]
    assert verdict["verdict"] == "stable"
    # Of all documents, where the suggestion measured half of them.
    assert abs(planted["auroc"]["value"] - verdict["concept_auroc_baseline"]) < 0.01


def test_the_table_tells_what_was_done_and_why(here: Terminal) -> None:
    code, shown, said = here.run(*ASK, "--seed", 4, "--per-concept", 2)

    assert code == 0
    assert f"latent {PLANTED}" in shown
    assert "recommended" in shown
    assert "best by chance" in shown
    assert "token lookup" in shown
    assert "hold together at 95%" in shown
    assert "at least 20 are needed" in shown
    assert "capturing" in said
    assert here.ok(*ASK, "--seed", 4, "--per-concept", 2) == shown


def test_a_mistake_costs_a_line(
    here: Terminal, service: tuple[str, Settings], tmp_path: Path
) -> None:
    code, _, said = here.run(*ASK, "--concept", "nothing")
    assert code == 1
    assert "'nothing'" in said
    assert AFTER_MARK in said

    code, _, said = here.run(*ASK[:-1], "prones")
    assert code == 1
    assert "prones" in said

    other = tmp_path / "other.jsonl"
    other.write_text('{"id": "a", "text": "b"}\n')
    code, _, said = here.run(*ASK, "--documents", other)
    assert code == 1
    assert "was registered with" in said

    out = tmp_path / "none.json"
    code, _, said = here.run(*ASK, "--concept", NAMED, "--out", out)
    assert code == 1
    assert "nothing is recommended" in said
    assert not out.exists()

    dictionary = service[1].allowed_roots[0] / "marked-dictionary"
    dictionary.rename(tmp_path / "away")
    code, _, said = here.run(*ASK)
    (tmp_path / "away").rename(dictionary)
    assert code == 1
    assert "layer-1" in said


def test_the_documents_may_come_from_a_file_where_the_store_is_out_of_reach(
    line: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "probes.jsonl"
    file.write_text("".join(f"{json.dumps(document)}\n" for document in documents()))
    monkeypatch.setenv("FEATUREDRIFT_ARTIFACT_URL", (tmp_path / "elsewhere").as_uri())
    code, _, said = line.run(*ASK)
    assert code == 1
    assert "--documents" in said

    monkeypatch.setattr(command, "run_suggestion", suggest_here)
    shown = line.ok(*ASK, "--documents", file)
    assert f"latent {PLANTED}" in shown
