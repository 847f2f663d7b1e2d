"""Planted causes of drift: does the diagnosis name them?"""

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.registry.definitions import Direction, Feature, Neuron, SaeLatent
from benchmarks.calibration.size import Size
from benchmarks.calibration.table import Row, Table, at_least
from benchmarks.calibration.verdicts import judged, judged_dense, seeds, spread
from benchmarks.calibration.world import (
    NEURONS,
    SITE,
    Float32,
    World,
    make_world,
    randomised,
    save_dictionary,
)
from workers.baselines.refit import labelled_refit
from workers.diagnosis import DiagnosisQuestion, diagnose
from workers.drift.policy import Policy
from workers.drift.sums import dense_sums, sparse_sums

TITLE = "Diagnosis of planted causes"
HOW = (
    "Worlds of 150 documents and 72 concepts in 48 dimensions, read by a dictionary with a latent "
    "for each, by directions, and by neurons of another site. One cause is planted, small noise on "
    "top; whatever our own comparison then finds `drifted` is diagnosed. `scaled`: the site × 1.5 "
    "or ÷ 1.5. `rotated`: an orthogonal matrix. `latents permuted`: concepts swap their directions "
    "(more concepts than dimensions, so that no linear map undoes it). `neurons permuted`: the "
    "hidden units of an MLP change places, its function stays. `erased`: the concept is written "
    "nowhere; counted where a labelled refit, which takes no part in the diagnosis, finds it "
    "unreadable on held-out documents (upper end of its AUROC's interval below .65). Directions "
    "are erased in a world of 40 concepts, where each can read one concept alone: one that reads "
    "others as well is not lost with its own. `overwritten`: strong new concepts are written over "
    "the old ones, which stay readable."
)
_UNREADABLE = 0.65


@dataclass(frozen=True)
class Plant:
    """A cause and the label that names it."""

    name: str
    label: str
    make: Callable[[np.random.Generator, World, Float32, NDArray[np.intp]], Float32]
    """From (rng, world, baseline activations, chosen concepts) to the candidate's activations."""
    latents: int = 16
    directions: int = 8
    neurons: int = 0
    concepts: int = 72


@dataclass(frozen=True)
class Found:
    """The diagnoses of one comparison."""

    plant: str
    labels: dict[str, str]
    """Of the drifted features, by name."""
    planted: int
    confirmed: frozenset[str]
    """Features whose loss a labelled refit confirms; all of them where nothing was lost."""


def run(size: Size, seed: int, processes: int = 1) -> Table:
    """All plants, some worlds each."""
    tasks = [
        (plant.name, stream)
        for plant in PLANTS
        for stream in seeds(seed, f"diagnosis {plant.name}", size.plants)
    ]
    found = list(spread(one_world, tasks, processes))
    rows = []
    for plant in PLANTS:
        worlds = [f for f in found if f.plant == plant.name]
        labels = [label for f in worlds for n, label in f.labels.items() if n in f.confirmed]
        case = f"{plant.name}: named `{plant.label}`"
        if not labels:
            rows.append(Row(case, "≥ 95%", "no planted feature was found to drift", "FAIL"))
            continue
        planted = sum(f.planted for f in worlds)
        drifted = sum(len(f.labels) for f in worlds)
        what = f"features ({planted} planted, {drifted} drifted, {len(labels)} confirmed)"
        row = at_least(case, 0.95, labels.count(plant.label), len(labels), what)
        others = Counter(x for x in labels if x != plant.label)
        told = ", ".join(f"{count} `{label}`" for label, count in others.most_common())
        measured = f"{row.measured}; else {told}" if told else row.measured
        rows.append(Row(row.case, row.wanted, measured, row.outcome))
    return Table(TITLE, HOW, rows)


def one_world(task: tuple[str, np.random.SeedSequence]) -> Found:
    """Make a world, plant one cause, and diagnose what drifted."""
    name, stream = task
    plant = next(p for p in PLANTS if p.name == name)
    rng = np.random.default_rng(stream)
    world = make_world(rng, concepts=plant.concepts)
    with tempfile.TemporaryDirectory(prefix="featuredrift-calibration-") as folder:
        return _diagnosed(plant, rng, world, Path(folder))


def _diagnosed(plant: Plant, rng: np.random.Generator, world: World, folder: Path) -> Found:
    site = NEURONS if plant.neurons else SITE
    chosen = rng.permutation(plant.concepts)[: plant.latents + plant.directions]
    a = _hidden(rng, world) if site == NEURONS else world.activations(rng)
    b = plant.make(rng, world, a, chosen)
    features = _features(plant, world, chosen, site)
    # A candidate that was trained on differs everywhere, if by little.
    b = np.asarray(b + 0.02 * b.std() * rng.normal(size=b.shape), np.float32)
    drifted = _drifted(world, features, a, b)
    dictionary = save_dictionary(folder / "dictionary", world)
    random = world.sample({site: _random(rng, world, a)}, {})
    answer = diagnose(
        DiagnosisQuestion(
            features=features,
            drifted=drifted,
            sample=world.sample({site: a}, {site: b}),
            dictionaries={dictionary.name: dictionary},
            randomised=random,
        )
    )
    labels = {name: answer[name].label for name in drifted}
    if plant.label != "lost":
        return Found(plant.name, dict(labels), len(features), frozenset(labels))
    confirmed = {
        name
        for name in labels
        if labelled_refit(
            b, world.strength[:, chosen[int(name.split("-")[1])]] > 0, world.document
        ).upper
        < _UNREADABLE
    }
    return Found(plant.name, dict(labels), len(features), frozenset(confirmed))


def _features(
    plant: Plant, world: World, chosen: NDArray[np.intp], site: str
) -> dict[str, Feature]:
    found: dict[str, Feature] = {
        f"neuron-{i}": Neuron(name=f"neuron-{i}", site=site, index=i) for i in range(plant.neurons)
    }
    width = world.directions.shape[1]
    # With fewer concepts than dimensions, the dual directions read one concept each.
    readers = np.linalg.pinv(world.directions).T if plant.concepts < width else world.directions
    for i, concept in enumerate(chosen):
        if i < plant.latents:
            name = f"latent-{i}"
            found[name] = SaeLatent(name=name, dictionary="dictionary", index=int(concept))
        else:
            name = f"direction-{i}"
            vector = tuple(float(v) for v in readers[concept])
            found[name] = Direction(name=name, site=site, vector=vector)
    return found


def _values(world: World, features: dict[str, Feature], x: Float32) -> tuple[Float32, Float32]:
    """Values of the sparse and of the dense features."""
    read = world.read_by(x) if x.shape[1] == world.directions.shape[1] else None
    sparse, dense = [], []
    for feature in features.values():
        if isinstance(feature, SaeLatent):
            assert read is not None
            sparse.append(read[:, feature.index])
        elif isinstance(feature, Direction):
            dense.append(x @ np.array(feature.vector, np.float32))
        elif isinstance(feature, Neuron):
            dense.append(x[:, feature.index])
    none = np.zeros((len(x), 0), np.float32)
    return (
        np.stack(sparse, 1) if sparse else none,
        np.stack(dense, 1) if dense else none,
    )


def _drifted(world: World, features: dict[str, Feature], a: Float32, b: Float32) -> list[str]:
    policy, names = Policy(), list(features)
    (sparse_a, dense_a), (sparse_b, dense_b) = (_values(world, features, x) for x in (a, b))
    zeros = np.zeros(sparse_a.shape[1]), np.zeros(dense_a.shape[1])
    place = world.document, world.documents
    dense = dense_sums(dense_a, dense_b, *place, zeros[1])
    if sparse_a.shape[1] == 0:
        table = judged_dense(policy, dense)
    else:
        sparse = sparse_sums(csr_array(sparse_a), csr_array(sparse_b), *place, zeros[0])
        table = judged(policy, sparse, dense)
    return [n for n, verdict in zip(names, table.verdict, strict=True) if verdict == "drifted"]


def _hidden(rng: np.random.Generator, world: World) -> Float32:
    """[tokens, 96] hidden units of an MLP that reads the concepts."""
    W = rng.normal(size=(world.strength.shape[1], 96)) / 3
    pre = world.strength @ W + 0.05 * rng.normal(size=(len(world.document), 96))
    return np.asarray(np.maximum(pre, 0), np.float32)


def _random(rng: np.random.Generator, world: World, a: Float32) -> Float32:
    found = randomised(rng, world)
    more = np.tile(found, (1, -(-a.shape[1] // found.shape[1])))
    return np.ascontiguousarray(more[:, : a.shape[1]] * a.std())


def _scaled(rng: np.random.Generator, _world: World, a: Float32, _: NDArray[np.intp]) -> Float32:
    return np.asarray(a * rng.choice([1.5, 1 / 1.5]), np.float32)


def _rotated(rng: np.random.Generator, _world: World, a: Float32, _: NDArray[np.intp]) -> Float32:
    Q, _r = np.linalg.qr(rng.normal(size=(a.shape[1], a.shape[1])))
    return np.asarray(a @ Q, np.float32)


def _latents_permuted(
    rng: np.random.Generator,
    world: World,
    _a: Float32,
    _: NDArray[np.intp],
) -> Float32:
    # Every concept takes the next one's direction in a random order: none stays.
    order = rng.permutation(len(world.directions))
    moved = np.empty_like(world.directions)
    moved[order] = world.directions[np.roll(order, 1)]
    return World(world.document, world.token, world.strength, moved).activations(rng)


def _neurons_permuted(
    rng: np.random.Generator,
    _world: World,
    a: Float32,
    _: NDArray[np.intp],
) -> Float32:
    order = rng.permutation(a.shape[1])
    moved = np.empty(len(order), np.intp)
    moved[order] = np.roll(order, 1)
    return a[:, moved]


def _erased(
    rng: np.random.Generator, world: World, _a: Float32, chosen: NDArray[np.intp]
) -> Float32:
    return world.without(chosen).activations(rng)


def _overwritten(
    rng: np.random.Generator, world: World, a: Float32, _: NDArray[np.intp]
) -> Float32:
    new = make_world(rng, documents=world.documents, concepts=20, firing=0.15)
    strength = np.resize(new.strength, (len(a), 20))
    # Written into 12 of the 48 dimensions: around them, the old concepts can still be read.
    span, _r = np.linalg.qr(rng.normal(size=(a.shape[1], 12)))
    directions = rng.normal(size=(20, 12)) @ span.T
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.asarray(a + 2.5 * strength @ directions, np.float32)


PLANTS = (
    Plant("scaled", "rescaled", _scaled),
    Plant("rotated", "rotated", _rotated),
    Plant("latents permuted", "relocated", _latents_permuted),
    Plant("neurons permuted", "relocated", _neurons_permuted, 0, 0, 24),
    Plant("erased, latents", "lost", _erased, 24, 0),
    Plant("erased, directions", "lost", _erased, 0, 24, 0, 40),
    Plant("overwritten", "dictionary_stale", _overwritten, 24, 0),
)
