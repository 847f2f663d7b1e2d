"""Changes of the trained model whose cause is known, found and diagnosed by the service."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlamaForCausalLM

from app.registry.definitions import Composite, Direction, Feature, LinearProbe, Neuron
from benchmarks.calibration.line_model import Line, Probe, add_noise, open_line
from workers.baselines.refit import labelled_refit
from workers.capture.randomised import load_randomised
from workers.comparison.sites import paired_sample, single_sample
from workers.demo import checkpoints, model
from workers.demo.activations import collect
from workers.demo.line import READABLE_SHARE
from workers.demo.recipe import Recipe
from workers.demo.sample import sample
from workers.diagnosis import Diagnosis, DiagnosisQuestion, DictionaryHealth, diagnose
from workers.snapshots import SnapshotReader

PLANTS = ("rotated", "rescaled", "neurons permuted", "erased", "fresh weights")
ERASED = ("comment-probe", "string-probe", "keyword-probe", "string-direction", "number-direction")
"""Of these, one after the other is taken out of all that writes."""
DOCUMENTS = 70
"""The other probe documents decide what a labelled refit still reads."""
_NOISE = 5e-4
_NEURONS = 24
_LAYER = 1
_TOKENS = 131_072


@dataclass(frozen=True)
class Found:
    """What the service said of one changed model."""

    plant: str
    planted: int
    drifted: int
    labels: Mapping[str, str]
    """Of the planted features that were found to drift."""
    truth: Mapping[str, str]
    repaired: Mapping[str, str]
    """Of those that can be repaired, the verdict on the proposed repair on held-out documents."""
    misplaced: tuple[str, ...] = ()
    """Neurons sent to another place than the one they went to."""


@dataclass
class _Changed:
    weights: LlamaForCausalLM
    truth: dict[str, str]
    places: dict[str, int] = field(default_factory=dict)


def one_plant(task: tuple[str, int, np.random.SeedSequence], folder: Path, recipe: Recipe) -> Found:
    """Plant one cause; what drifts is diagnosed on documents of which none decides the truth."""
    name, number, stream = task
    rng = np.random.default_rng(stream)
    line = open_line(folder, recipe)
    chosen = line.draw_documents(rng, DOCUMENTS)
    features = _features(line, name, rng)
    held_out = np.setdiff1d(np.arange(len(line.documents)), chosen)
    changed = _change(line, name, number, rng, features, held_out)
    # A candidate that was trained on differs everywhere, if by little.
    add_noise(changed.weights, _NOISE, rng)
    probe = Probe(line, chosen, features, activation_tokens=_TOKENS)
    random = load_randomised(line.resolved, line.base.numerics, "all", 0)
    with (
        probe.captured(line.base) as a,
        probe.captured(line.loaded(changed.weights)) as b,
        probe.captured(random) as r,
        tempfile.TemporaryDirectory(prefix="featuredrift-calibration-") as out,
    ):
        table = probe.compare(a, b).verdicts
        drifted = [n for n, v in zip(table.names, table.verdict, strict=True) if v == "drifted"]
        asked = [n for n in drifted if n in changed.truth]
        found = _diagnose(probe, asked, (a, b, r), Path(out))
        return Found(
            plant=name,
            planted=len(changed.truth),
            drifted=len(asked),
            labels={n: found[n].label for n in asked},
            truth=changed.truth,
            repaired={
                n: _held_out(found[n])
                for n in asked
                if not isinstance(features[n], Composite) and changed.truth[n] != "lost"
            },
            misplaced=tuple(
                n for n, place in changed.places.items() if n in asked and _goes(found[n]) != place
            ),
        )


def _diagnose(
    probe: Probe,
    drifted: list[str],
    sides: tuple[SnapshotReader, SnapshotReader, SnapshotReader],
    folder: Path,
) -> Mapping[str, Diagnosis]:
    if not drifted:
        return {}
    a, b, random = sides
    pairs = paired_sample(a, b, probe.corpus)
    return diagnose(
        DiagnosisQuestion(
            features=probe.features,
            drifted=drifted,
            sample=pairs,
            dictionaries=probe.dictionaries,
            randomised=single_sample(random, probe.corpus),
            token_keys=probe.token_keys()[pairs.rows],
            health_baseline=_health(a),
            health_candidate=_health(b),
            folder=folder,
        )
    )


def _health(reader: SnapshotReader) -> dict[str, DictionaryHealth]:
    return {
        name: DictionaryHealth(fvu=figures.get("fvu"), l0=figures.get("l0"))
        for name, figures in reader.manifest.health.items()
    }


def _held_out(found: Diagnosis) -> str:
    evidence = {} if found.repair is None else found.repair.evidence
    return str((evidence.get("held_out") or {}).get("verdict") or "none")


def _goes(found: Diagnosis) -> int | None:
    definition = {} if found.repair is None else found.repair.definition
    return definition.get("index")


def _features(line: Line, plant: str, rng: np.random.Generator) -> dict[str, Feature]:
    if plant != "neurons permuted":
        return line.features
    site = f"blocks.{_LAYER}.mlp.hook_post"
    chosen = rng.permutation(line.recipe.mlp_width)[:_NEURONS]
    names = {f"neuron-{int(i)}": int(i) for i in chosen}
    return {name: Neuron(name=name, site=site, index=index) for name, index in names.items()}


def _change(
    line: Line,
    plant: str,
    number: int,
    rng: np.random.Generator,
    features: Mapping[str, Feature],
    held_out: NDArray[np.intp],
) -> _Changed:
    weights = line.weights()
    stream = [n for n, feature in line.features.items() if not isinstance(feature, Neuron)]
    if plant == "rotated":
        checkpoints.rotate(weights, int(rng.integers(1 << 31)))
        return _Changed(weights, dict.fromkeys(stream, "rotated"))
    if plant == "rescaled":
        checkpoints.rescale(weights, (1.5, 0.5, 2.0, 0.8, 1.25)[number % 5])
        return _Changed(weights, dict.fromkeys(stream, "rescaled"))
    if plant == "neurons permuted":
        places = _permute_neurons(weights, rng)
        names = {n: int(places[int(n.removeprefix("neuron-"))]) for n in features}
        return _Changed(weights, dict.fromkeys(names, "relocated"), names)
    if plant == "erased":
        name = ERASED[number % len(ERASED)]
        feature = line.features[name]
        checkpoints.erase(weights, torch.tensor(_direction(feature)))
        readable = _still_readable(line, weights, feature, held_out)
        return _Changed(weights, {name: "relocated" if readable else "lost"})
    fresh = model.new_model(line.recipe, int(rng.integers(1 << 31)))
    if number % 2:
        # The other initialisation: one width for every matrix, five times as broad.
        with torch.no_grad():
            for parameter in fresh.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(0, 0.1)
    return _Changed(fresh, dict.fromkeys(line.features, "lost"))


@torch.no_grad()
def _permute_neurons(weights: LlamaForCausalLM, rng: np.random.Generator) -> NDArray[np.intp]:
    """Hidden units of one MLP change places, none stays; returns where each one went."""
    mlp = weights.model.layers[_LAYER].mlp
    width = mlp.gate_proj.weight.shape[0]
    order = rng.permutation(width)
    source = np.empty(width, np.intp)
    source[order] = np.roll(order, 1)
    at = torch.from_numpy(source)
    mlp.gate_proj.weight.copy_(mlp.gate_proj.weight[at])
    mlp.up_proj.weight.copy_(mlp.up_proj.weight[at])
    mlp.down_proj.weight.copy_(mlp.down_proj.weight[:, at])
    return np.argsort(source)


def _direction(feature: Feature) -> tuple[float, ...]:
    if isinstance(feature, LinearProbe):
        return feature.weights
    if isinstance(feature, Direction):
        return feature.vector
    raise TypeError(f"{feature.name!r} is a {feature.kind} and has no direction")


def _still_readable(
    line: Line, weights: LlamaForCausalLM, feature: Feature, held_out: NDArray[np.intp]
) -> bool:
    """Whether a labelled refit on other documents keeps half of its AUROC above chance."""
    assert isinstance(feature, LinearProbe | Direction)
    assert feature.concept is not None
    tokenizer = model.load_tokenizer(line.pieces.checkpoints["base"])
    data = sample([line.documents[i] for i in held_out], tokenizer, line.recipe)
    before, after = (
        labelled_refit(
            collect(one, data.rows, feature.site).numpy(),
            data.labels[feature.concept],
            data.document,
        ).value
        for one in (line.weights(), weights)
    )
    return after - 0.5 >= READABLE_SHARE * (before - 0.5)
