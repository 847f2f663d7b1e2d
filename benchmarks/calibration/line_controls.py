"""Features of the trained model that may not be trusted, put before the service's controls."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from app.registry.definitions import Direction, Feature, SaeLatent
from benchmarks.calibration.line_model import Line, Probe, open_line
from workers.capture.randomised import load_randomised
from workers.comparison.sites import single_sample
from workers.controls import random_features, randomised
from workers.controls.readouts import Chance, measure_chance
from workers.demo.recipe import Recipe
from workers.features.dictionaries import DictionarySource
from workers.snapshots import SnapshotReader

RANDOM = "random directions that claim a concept: random_features fails them"
ALWAYS_ON = "always-on latents: randomised_model fails them"
TOKENS = "directions of the embeddings: told as token_level"
KINDS = (RANDOM, ALWAYS_ON, TOKENS)
DOCUMENTS = 60
_EACH = 8
_CLAIMED = ("comment", "string", "number", "keyword")
_EMBEDDINGS = "blocks.0.hook_resid_pre"
_ACTIVATION_TOKENS = 49_152


@dataclass(frozen=True)
class Caught:
    """What the controls said in one draw."""

    caught: dict[str, int]
    planted: int
    """Of each kind."""
    accused: dict[str, tuple[str, ...]]
    """By control, features of the demo that it failed; nobody knows their truth."""
    token_level: tuple[str, ...]


def one_draw(task: np.random.SeedSequence, folder: Path, recipe: Recipe) -> Caught:
    """Add suspicious features to the demo's, and run the controls on all of them."""
    rng = np.random.default_rng(task)
    line = open_line(folder, recipe)
    with tempfile.TemporaryDirectory(prefix="featuredrift-calibration-") as out:
        always_on, latents = _always_on(line, rng, Path(out) / "always-on")
        suspects = {**_random(line, rng), **latents, **_of_embeddings(line, rng)}
        features = {**line.features, **suspects}
        chosen = line.draw_documents(rng, DOCUMENTS)
        probe = Probe(line, chosen, features, [always_on], _ACTIVATION_TOKENS)
        return _judged(line, probe, int(rng.integers(1 << 31)))


def _judged(line: Line, probe: Probe, seed: int) -> Caught:
    loaded = (
        load_randomised(line.resolved, line.base.numerics, s, seed) for s in ("all", "blocks")
    )
    everything, blocks = loaded
    with (
        probe.captured(line.base) as base,
        probe.captured(everything) as all_,
        probe.captured(blocks) as blocks_,
    ):
        tables = {
            "all": probe.compare(base, all_).verdicts,
            "blocks": probe.compare(base, blocks_).verdicts,
        }
        survived = randomised.judge(tables, _chance(probe, all_, seed))
        by_chance = random_features.judge(_chance(probe, base, seed))
    tokens = randomised.token_level(survived)
    failed = {
        outcome.control: {n for n, found in outcome.features.items() if found.passed is False}
        for outcome in (survived, by_chance)
    }
    caught = {
        RANDOM: sum(n.startswith("random-") for n in failed[random_features.NAME]),
        ALWAYS_ON: sum(n.startswith("always-on-") for n in failed[randomised.NAME]),
        TOKENS: sum(n.startswith("embedding-") and tokens[n] is True for n in tokens),
    }
    own = set(line.features)
    return Caught(
        caught,
        _EACH,
        {control: tuple(sorted(names & own)) for control, names in failed.items()},
        tuple(sorted(n for n in own if tokens.get(n) is True)),
    )


def _chance(probe: Probe, reader: SnapshotReader, seed: int) -> dict[str, Chance | str]:
    return measure_chance(
        reader,
        single_sample(reader, probe.corpus),
        probe.corpus,
        probe.concepts,
        probe.features,
        {name: one.site for name, one in probe.dictionaries.items()},
        seed=seed,
    )


def _direction(
    name: str, site: str, vector: NDArray[np.float64], concept: str | None = None
) -> Direction:
    return Direction(name=name, site=site, vector=tuple(map(float, vector)), concept=concept)


def _random(line: Line, rng: np.random.Generator) -> dict[str, Feature]:
    """Directions that nobody fitted."""
    return {
        name: _direction(
            name, line.recipe.site, rng.normal(size=line.recipe.width), _CLAIMED[i % len(_CLAIMED)]
        )
        for i in range(_EACH)
        for name in [f"random-{i}"]
    }


def _of_embeddings(line: Line, rng: np.random.Generator) -> dict[str, Feature]:
    """Directions at the entry of the first block, where every value is one of the token."""
    return {
        name: _direction(name, _EMBEDDINGS, rng.normal(size=line.recipe.width))
        for i in range(_EACH)
        for name in [f"embedding-{i}"]
    }


def _always_on(
    line: Line, rng: np.random.Generator, folder: Path
) -> tuple[DictionarySource, dict[str, Feature]]:
    """The demo's dictionary, some of whose latents say the same at every token."""
    shutil.copytree(line.pieces.dictionary, folder)
    file = folder / "sae_weights.safetensors"
    tensors = load_file(file)
    chosen = rng.permutation(len(tensors["b_enc"]))[:_EACH]
    tensors["W_enc"][:, chosen] = 0
    tensors["b_enc"][chosen] = rng.uniform(1, 3, _EACH)
    if "threshold" in tensors:
        tensors["threshold"][chosen] = 0
    save_file(tensors, file)
    return line.load_dictionary(folder.name, folder), {
        name: SaeLatent(name=name, dictionary=folder.name, index=int(index))
        for i, index in enumerate(chosen)
        for name in [f"always-on-{i}"]
    }
