"""The demo: register a line of checkpoints by REST, and see each of them judged."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from app.core.digests import sha256_bytes, sha256_file, sha256_json
from workers.demo.build import DICTIONARY, MODEL, Built, build
from workers.demo.client import Client, RefusedError
from workers.demo.line import LINE, Checkpoint, Outcome
from workers.demo.progress import Steps
from workers.demo.recipe import Recipe
from workers.demo.refit import refit_concept
from workers.demo.tables import (
    controls_table,
    diagnosis_table,
    drift_table,
    outcomes_table,
    worth_table,
)

BASE = "base"
ERASED = "erased"
MAX_UNPROVEN = 0.25
ACTIVATION_TOKENS = 98_304
"""Less than the service's default, for five minutes in all."""
WATCHED = [
    "number-latent",
    "definition-latent",
    "import-latent",
    "comment-latent",
    "comment-any-latent",
    "comment-probe",
    "string-probe",
    "keyword-probe",
    "comment-across-layers",
    "number-direction",
    "operator-neuron",
]


@dataclass(frozen=True)
class Names:
    """Names in the registry. They end in a digest of what was built: another build, other names."""

    model: str
    corpus: str
    dictionary: str
    features: str
    monitor: str


def names_of(built: Built) -> Names:
    """The names under which this build is registered."""
    digest = sha256_json(
        [
            sha256_file(built.checkpoints[BASE] / "model.safetensors"),
            sha256_file(built.dictionary / "sae_weights.safetensors"),
            sha256_file(built.features),
            sha256_file(built.probe_documents),
            sha256_bytes(str(built.dictionary.parent).encode()),
        ]
    )[:6]
    return Names(
        model=f"{MODEL}-{digest}",
        corpus=f"standard-library-{digest}",
        dictionary=f"{DICTIONARY}-{digest}",
        features=f"code-concepts-{digest}",
        monitor=f"code-concepts-{digest}",
    )


def run_demo(base_url: str, work_dir: Path, console: Console, recipe: Recipe | None = None) -> int:
    """Build what is missing, register everything, and compare what is found with what is true.

    Args:
        base_url: where the API answers.
        work_dir: folder for all that is built; must lie under a root that the service may read.
        console: where progress and tables go.
        recipe: other sizes than the demo's.

    Returns:
        0 if every checkpoint was judged as expected, else 1.

    Raises:
        EvaluationError: this machine cannot build the demo, with the reason.
        RefusedError: the API refused a call.
    """
    with Steps(console) as steps, Client(base_url) as client:
        recipe = recipe or Recipe()
        built = build(work_dir, recipe, steps)
        names = names_of(built)
        with steps.step("registering model, corpus, dictionary, features"):
            _register(client, built, names)
        outcomes = {
            checkpoint.name: _evaluate(client, built, names, checkpoint, steps, recipe)
            for checkpoint in LINE
        }
    return _conclude(console, outcomes, built)


def _register(client: Client, built: Built, names: Names) -> None:
    client.post("/models", {"name": names.model, "description": "Trained on the spot"})
    _post_checkpoint(client, built, names, BASE, "Trained on Python's standard library.")
    client.point_alias(names.model, "baseline", BASE)
    client.post_jsonl("/corpora", built.probe_documents.read_bytes(), name=names.corpus)
    source = str(built.dictionary.resolve())
    client.post("/dictionaries", {"name": names.dictionary, "source": source})
    definitions = json.loads(built.features.read_text())
    for definition in definitions:
        if "dictionary" in definition:
            definition["dictionary"] = names.dictionary
    client.post("/feature-sets", {"name": names.features, "features": definitions})
    client.post(
        "/monitors",
        {
            "name": names.monitor,
            "model": names.model,
            "corpus": names.corpus,
            "feature_set": {"name": names.features, "version": 1},
            "baseline": {"alias": "baseline"},
            "watchlist": WATCHED,
            # A feature that a control has found out keeps the others from nothing.
            "policy": {
                "gate": {"max_unproven_ratio": MAX_UNPROVEN},
                "activation_tokens": ACTIVATION_TOKENS,
            },
        },
    )


def _post_checkpoint(client: Client, built: Built, names: Names, name: str, note: str) -> Any:
    source = str(built.checkpoints[name].resolve())
    return client.post(
        f"/models/{names.model}/checkpoints", {"name": name, "source": source, "note": note}
    )


def _evaluate(
    client: Client,
    built: Built,
    names: Names,
    checkpoint: Checkpoint,
    steps: Steps,
    recipe: Recipe,
) -> Outcome:
    """Register one checkpoint and wait until the gate has decided."""
    with steps.step(f"evaluating {checkpoint.name}"):
        answer = _post_checkpoint(client, built, names, checkpoint.name, checkpoint.note)
        if not answer["evaluations"]:
            raise RefusedError(f"no evaluation of {checkpoint.name} was started: {answer}")
        # Somebody's own monitor may have looked at the same checkpoint since.
        ours = {"monitor": names.monitor, "checkpoint": checkpoint.name}
        evaluation = client.post("/evaluations", ours)["id"]
        while (found := client.wait_for_evaluation(evaluation))["state"] in {"queued", "running"}:
            pass
        gate = client.gate(names.model, checkpoint.name)
        rows = client.verdicts(evaluation, "baseline")
        repairs = client.get("/repairs", evaluation=evaluation)["items"]
        changes = client.get(f"/repairs/{repairs[0]['id']}")["changes"] if repairs else []
    refits = None
    if checkpoint.name == ERASED:
        with steps.step("fitting a probe anew, to see whether comments are still readable"):
            refits = (
                refit_concept(built.checkpoints[BASE], built.probe_documents, "comment", recipe),
                refit_concept(built.checkpoints[ERASED], built.probe_documents, "comment", recipe),
            )
    error = found["error"]
    return Outcome(
        gate=gate["gate"],
        state=found["state"],
        error=None if error is None else f"{error['code']}: {error['detail']}",
        verdicts={row["feature"]: row for row in rows},
        health=found["dictionary_health"],
        controls=found["controls"],
        changes={change["feature"]: change for change in changes},
        refits=refits,
    )


def _conclude(console: Console, outcomes: dict[str, Outcome], built: Built) -> int:
    mismatches = {c.name: c.mismatches(outcomes[c.name]) for c in LINE}
    facts = built.facts
    console.print()
    console.print(
        f"A language model of {facts['parameters'] / 1e6:.1f} M parameters (loss "
        f"{facts['loss']:.2f} nats a token), a dictionary that leaves {facts['fvu']:.0%} of the "
        f"variance unexplained (L0 {facts['l0']:.0f}), {len(LINE)} checkpoints after the base:",
        highlight=False,
    )
    for checkpoint in LINE:
        console.print(f"  {checkpoint.name:9} {checkpoint.note}", markup=False, highlight=False)
    for table in (
        worth_table(outcomes[LINE[0].name].verdicts),
        controls_table(outcomes[LINE[0].name]),
        drift_table(outcomes, WATCHED),
        diagnosis_table(outcomes),
        outcomes_table(outcomes, mismatches),
    ):
        console.print()
        console.print(table)
    found = {name: words for name, words in mismatches.items() if words}
    for name, words in found.items():
        for line in words:
            console.print(f"{name}: {line}", style="bold red", markup=False)
    if not found:
        console.print("Every checkpoint was judged as it should be.", style="bold green")
    return 1 if found else 0
