"""What API tests register: sources that pass inspection, and things that refer to them."""

import json
import struct
from math import prod
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi.testclient import TestClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.evaluations.tables import Evaluation
from app.settings import Settings
from app.verdicts.writing import replace_results

SITE = "blocks.1.hook_resid_post"
DOCUMENTS: list[dict[str, Any]] = [
    {"id": "a", "text": "one two", "labels": {"number": [[0, 3], [4, 7]]}},
    {"id": "b", "text": "three", "labels": {"number": True}},
]
FEATURES: list[dict[str, Any]] = [
    {
        "kind": "sae_latent",
        "name": "number",
        "dictionary": "layer-1",
        "index": 3,
        "concept": "number",
    },
    {"kind": "direction", "name": "up", "site": SITE, "vector": [1.0] + [0.0] * 7},
    {
        "kind": "composite",
        "name": "both",
        "operation": "max",
        "components": [{"feature": "number"}, {"feature": "up"}],
    },
]


def write_safetensors(path: Path, tensors: dict[str, list[int]]) -> None:
    """A whole safetensors file of float32 zeros with these names and shapes."""
    header, position = {}, 0
    for name, shape in tensors.items():
        stop = position + 4 * prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [position, stop]}
        position = stop
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + b"\0" * position)


def make_checkpoint(path: Path) -> str:
    """A checkpoint directory: configuration, weights, tokenizer."""
    path.mkdir()
    (path / "config.json").write_text('{"model_type": "llama"}')
    (path / "tokenizer.json").write_text("{}")
    write_safetensors(path / "model.safetensors", {"model.embed_tokens.weight": [16, 8]})
    return str(path)


def make_dictionary(path: Path, d_in: int = 8, d_sae: int = 32) -> str:
    """A dictionary directory as SAELens writes it for inference."""
    path.mkdir()
    config = {
        "architecture": "jumprelu",
        "d_in": d_in,
        "d_sae": d_sae,
        "metadata": {"hook_name": SITE},
    }
    (path / "cfg.json").write_text(json.dumps(config))
    write_safetensors(
        path / "sae_weights.safetensors",
        {"W_enc": [d_in, d_sae], "W_dec": [d_sae, d_in], "b_enc": [d_sae], "b_dec": [d_in]},
    )
    return str(path)


def post(client: TestClient, path: str, body: Any, expect: int = 201) -> dict[str, Any]:
    """POST that must succeed; the answer's body."""
    response = client.post(path, json=body)
    assert response.status_code == expect, response.text
    answer: dict[str, Any] = response.json()
    return answer


def register_line(client: TestClient, settings: Settings, **monitor: Any) -> None:
    """Model `bot` with checkpoint `base` (alias `baseline`), and monitor `watch` on it."""
    root = settings.allowed_roots[0]
    post(client, "/v1/models", {"name": "bot"})
    source = make_checkpoint(root / "base")
    post(client, "/v1/models/bot/checkpoints", {"name": "base", "source": source})
    response = client.put("/v1/models/bot/aliases/baseline", json={"checkpoint": "base"})
    assert response.status_code == 201
    post(client, "/v1/corpora", {"name": "probes", "documents": DOCUMENTS})
    source = make_dictionary(root / "sae")
    post(client, "/v1/dictionaries", {"name": "layer-1", "source": source})
    post(client, "/v1/feature-sets", {"name": "set", "features": FEATURES})
    post(client, "/v1/monitors", monitor_body(**monitor))


def monitor_body(**changes: Any) -> dict[str, Any]:
    """The body of the monitor `watch`, with changes."""
    body = {
        "name": "watch",
        "model": "bot",
        "corpus": "probes",
        "feature_set": {"name": "set"},
        "baseline": {"alias": "baseline"},
    }
    return body | changes


def register_checkpoint(
    client: TestClient, settings: Settings, name: str, expect: int = 202, **body: Any
) -> dict[str, Any]:
    """One more checkpoint of `bot`, from a source of its own."""
    source = make_checkpoint(settings.allowed_roots[0] / name)
    body = {"name": name, "source": source, **body}
    return post(client, "/v1/models/bot/checkpoints", body, expect)


def verdict(feature: str, word: str, **changes: Any) -> dict[str, Any]:
    """A row of `verdicts` as a worker writes it."""
    row: dict[str, Any] = {
        "comparison": "baseline",
        "feature": feature,
        "feature_id": None,
        "verdict": word,
        "change": None,
        "changes": [],
        "diagnosis": None,
        "reason": f"it is {word}",
        "estimand": "identity",
        "effect": 0.1,
        "lower": 0.05,
        "upper": 0.15,
        "margin": 0.2,
        "margin_source": "policy",
        "active_documents": 60,
        "documents": 100,
        "tokens": 10_000,
        "estimates": {},
        "definition_digest": "0" * 64,
    }
    for column in (
        *("p_drifted", "p_stable", "q_drifted", "q_stable", "sign_test_p", "drift_score"),
        *("firing_ratio_baseline", "firing_ratio_candidate", "concept_auroc_baseline"),
        *("concept_auroc_candidate", "baseline_snapshot_key", "candidate_snapshot_key"),
        *("token_level", "earns_keep", "causal_verdict", "controls", "baselines", "causal"),
        *("robustness", "trend", "pages", "diagnosis_evidence"),
    ):
        row[column] = None
    return row | {"paged": False, "slow_drift": False} | changes


def finish(
    session: Session,
    evaluation_id: str | UUID,
    verdicts: list[dict[str, Any]],
    *,
    controls: list[dict[str, Any]] | None = None,
    summary: dict[str, Any] | None = None,
) -> None:
    """Let an evaluation have succeeded with these results."""
    identity = UUID(str(evaluation_id))
    health = {"role": "candidate", "dictionary": "layer-1", "fvu": 0.1, "l0": 3.0}
    replace_results(
        session,
        identity,
        verdicts=verdicts,
        controls=controls or [],
        health=[{**health, "dead_ratio": 0.0, "figures": {}}],
    )
    session.execute(
        update(Evaluation)
        .where(Evaluation.id == identity)
        .values(state="succeeded", step="done", summary=summary)
    )
