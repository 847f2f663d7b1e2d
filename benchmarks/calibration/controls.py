"""Each control against what it is there to catch, and against features that it must spare."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.core.artifacts import ArtifactStore
from app.registry.definitions import Direction, Feature
from benchmarks.calibration.peers import Corpus, write_snapshot
from benchmarks.calibration.size import Size
from benchmarks.calibration.synthetic import Truth, binomial_gamma, document_lengths
from benchmarks.calibration.table import Row, Table, at_least, at_most
from benchmarks.calibration.verdicts import judged, seeds, spread
from benchmarks.calibration.world import SITE, Float32, World, make_world, randomised
from workers.baselines.judge import BaselineQuestion
from workers.comparison import CorpusLabels, identical
from workers.controls import numerics, permuted_labels, random_features, shuffled_pairing
from workers.controls import randomised as randomised_control
from workers.controls.outcome import ControlOutcome
from workers.controls.readouts import measure_chance
from workers.drift.noise import measure_floor
from workers.drift.policy import Policy
from workers.drift.sums import sparse_sums
from workers.drift.verdicts import VerdictTable
from workers.snapshots import SnapshotReader

TITLE = "Controls"
HOW = (
    "Each control sees features with the fault that it is there for, which it must find, among "
    "honest ones, which it must spare. What cannot be told counts as not found."
)
Rng = np.random.Generator


@dataclass(frozen=True)
class Tally:
    """What one control did in one world."""

    caught: int
    planted: int
    accused: int
    honest: int


def run(size: Size, seed: int, processes: int = 1) -> Table:
    """All controls, some worlds each."""
    tasks = [
        (name, stream)
        for name in CONTROLS
        for stream in seeds(seed, f"controls {name}", size.plants)
    ]
    found = list(spread(one_world, tasks, processes))
    rows: list[Row] = []
    for name in CONTROLS:
        tallies = [t for (n, _), t in zip(tasks, found, strict=True) if n == name]
        caught, planted, accused, honest = (
            sum(getattr(t, f) for t in tallies) for f in ("caught", "planted", "accused", "honest")
        )
        rows.append(at_least(f"{name}: found", 0.95, caught, planted, "planted"))
        rows.append(at_most(f"{name}: honest ones accused", 0.05, accused, honest, "honest"))
    return Table(TITLE, HOW, rows)


def one_world(task: tuple[str, np.random.SeedSequence]) -> Tally:
    """Make a world with faults, and ask one control."""
    name, stream = task
    return CONTROLS[name](np.random.default_rng(stream))


def _no_op(rng: Rng) -> Tally:
    """The last bit of one value differs; and a capture that is the same."""
    corpus = Corpus(np.repeat(np.arange(20), 50), 20)
    values = np.maximum(rng.normal(size=(1000, 10)), 0).astype(np.float32)
    values[-1] = 1.0
    other = values.copy()
    where = int(rng.integers(10))
    other[-1, where] = np.nextafter(other[-1, where], np.float32(2))
    with _snapshots(corpus, values, other, values, sparse=5) as (one, changed, again):
        found = [not identical(one, side).bit_equal for side in (changed, again)]
    return Tally(int(found[0]), 1, int(found[1]), 1)


def _unrepeatable(rng: Rng) -> Tally:
    """Another dtype moves some features by seven margins of magnitude."""
    policy, features = Policy(), 30
    planted = np.arange(features) < 6
    magnitude = np.where(planted, 7.0, 0.1) * policy.magnitude
    table = _null_update(rng, magnitude)
    nulls = {"numerics_dtype": table}
    return _tally(numerics.judge(measure_floor(nulls), nulls, policy), planted)


def _noise_floor(rng: Rng) -> Tally:
    """Null updates move all features by 1.5 margins, and a candidate does so, some by 3 to 4.

    Found: what lies beyond the floor is `drifted`. Accused: what does not.
    """
    policy, features = Policy(), 60
    noise = rng.uniform(1.0, 1.5, features) * policy.magnitude
    floor = measure_floor({"benign": _null_update(rng, noise)})
    planted = np.arange(features) < 12
    magnitude = np.where(planted, rng.uniform(3, 4, features), rng.uniform(1.0, 1.5, features))
    tokens = document_lengths(rng, 200)
    truth = _magnitudes(magnitude * policy.magnitude)
    table = judged(Policy(noise_floor=floor), binomial_gamma(rng, tokens, truth))
    drifted = table.verdict == "drifted"
    return Tally(
        int(drifted[planted].sum()), 12, int(drifted[~planted].sum()), int((~planted).sum())
    )


def _survivors(rng: Rng) -> Tally:
    """Features that read what no weight decides, such as a token's place, survive fresh weights."""
    tables, planted, _ = _cascade(rng)
    return _tally(randomised_control.judge(tables), planted)


def _token_readers(rng: Rng) -> Tally:
    """Features that read the embeddings survive fresh blocks, and are told from those above."""
    tables, survivors, tokens = _cascade(rng)
    told = randomised_control.token_level(randomised_control.judge(tables))
    flags = np.array([told[name] is True for name in tables["all"].names])
    honest = ~survivors & ~tokens
    return Tally(
        int(flags[tokens].sum()),
        int(tokens.sum()),
        int(flags[honest].sum()),
        int(honest.sum()),
    )


def _cascade(
    rng: Rng,
) -> tuple[Mapping[str, VerdictTable], NDArray[np.bool_], NDArray[np.bool_]]:
    """A world's latents beside randomised models; which survive everything, which the blocks."""
    world = make_world(rng, firing=0.04)
    a = world.read_by(world.activations(rng))[:, :30]
    survivors, tokens = np.arange(30) < 5, (np.arange(30) >= 5) & (np.arange(30) < 10)
    # A place in the document, and the identity of the token.
    a[:, survivors] = _periodic(rng, world, 5)
    table = np.where(rng.random((world.token.max() + 1, 5)) < 0.05, 1.0, 0.0)
    a[:, tokens] = table[world.token]
    tables = {}
    for scope in randomised_control.SCOPES:
        b = world.read_by(randomised(rng, world))[:, :30]
        b[:, survivors] = a[:, survivors]
        if scope != "all":
            b[:, tokens] = a[:, tokens] * (1 + 0.01 * rng.normal(size=(len(a), 5)))
        tables[scope] = judged(
            Policy(),
            sparse_sums(csr_array(a), csr_array(b), world.document, world.documents, np.zeros(30)),
        )
    return tables, survivors, tokens


def _periodic(rng: Rng, world: World, features: int) -> Float32:
    first = np.searchsorted(world.document, np.arange(world.documents))
    place = np.arange(len(world.document)) - first[world.document]
    period = rng.integers(5, 20, features)
    return np.asarray(place[:, None] % period == 0, np.float32)


def _random_features(rng: Rng) -> Tally:
    """Random directions that claim a concept, among latents that read theirs."""
    world, count = make_world(rng), 15
    x = world.activations(rng)
    vectors = rng.normal(size=(count, x.shape[1]))
    features: dict[str, Feature] = {}
    for i in range(2 * count):
        # A latent's direction, read as one: both kinds are dense and matched alike.
        vector = vectors[i] if i < count else world.directions[i]
        features[f"f{i}"] = Direction(
            name=f"f{i}", site=SITE, vector=tuple(float(v) for v in vector)
        )
    unit = np.array([f.vector for f in features.values() if isinstance(f, Direction)])
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    values = x @ unit.T.astype(np.float32)
    corpus = Corpus(world.document, world.documents)
    claims = {f"f{i}": f"concept-{i}" for i in range(2 * count)}
    with _snapshots(corpus, values, sparse=0) as (reader,):
        sample, labels = world.sample({SITE: x}, {}), _labels(world, 2 * count)
        chance = measure_chance(reader, sample, labels, claims, features, {})
    return _tally(random_features.judge(chance), np.arange(2 * count) < count)


def _leaking_documents(rng: Rng, documents: int) -> Tally:
    """A corpus in which every document comes twice as if it were two, and one without copies."""
    tallies = []
    for twice in (True, False):
        half = make_world(rng, documents=documents if twice else 2 * documents, concepts=20)
        copies = 2 if twice else 1
        document = np.concatenate([half.document + k * documents for k in range(copies)])
        strength = np.tile(half.strength, (copies, 1))
        # Each text has its own words, which a probe can know it by.
        own = np.tile((2 * rng.normal(size=(half.documents, 128)))[half.document], (copies, 1))
        x = own + strength @ rng.normal(size=(20, 128)) + 0.3 * rng.normal(size=own.shape)
        topic = rng.random(half.documents) < 0.5
        positive = np.tile(topic[half.document], copies)
        outcome = permuted_labels.judge_permuted_labels(
            _Baseline(document, {SITE: x.astype(np.float32)}),
            strength[:, :1].astype(np.float32),
            [BaselineQuestion("f0", "topic", (SITE,))],
            {"topic": positive},
            seed=int(rng.integers(1 << 30)),
        )
        tallies.append(_tally(outcome, np.array([twice])))
    return Tally(tallies[0].caught, 1, tallies[1].accused, 1)


def _indifferent(rng: Rng) -> Tally:
    """Features that fire nearly everywhere, or have one value: any pairing of tokens suits them."""
    world = make_world(rng, firing=0.04)
    values = world.read_by(world.activations(rng))[:, :34]
    values[:, :5] = rng.random((len(values), 5)) < 0.97
    values[:, 5:10] *= 0.0
    values[:, 5:10] += 1.0
    corpus = Corpus(world.document, world.documents)
    with _snapshots(corpus, values, sparse=34) as (reader,):
        labels = CorpusLabels(np.arange(world.documents))
        outcome = shuffled_pairing.judge(reader, labels, Policy())
    return _tally(outcome, np.arange(34) < 10)


@dataclass(frozen=True)
class _Baseline:
    cluster: NDArray[np.int64]
    a: Mapping[str, Float32]


CONTROLS: Mapping[str, Callable[[Rng], Tally]] = {
    "no-op, one bit of one value": _no_op,
    "numerics, features whose numbers do not repeat": _unrepeatable,
    "noise floor, changes beyond it": _noise_floor,
    "randomised model, features that cannot fail": _survivors,
    "randomised blocks, features that read tokens": _token_readers,
    "random features, directions without meaning": _random_features,
    "permuted labels, 60 documents that come twice": partial(_leaking_documents, documents=60),
    "permuted labels, 150 documents that come twice": partial(_leaking_documents, documents=150),
    "shuffled pairing, features that fire everywhere or never change": _indifferent,
}


def _tally(outcome: ControlOutcome, planted: NDArray[np.bool_]) -> Tally:
    """Features are called by their position, with a letter before it or not."""
    failed = np.zeros(len(planted), bool)
    for name, found in outcome.features.items():
        failed[int(name.lstrip("f"))] = found.passed is False
    return Tally(
        int(failed[planted].sum()),
        int(planted.sum()),
        int(failed[~planted].sum()),
        int((~planted).sum()),
    )


def _magnitudes(magnitude: NDArray[np.float64]) -> Truth:
    features = len(magnitude)
    none = np.full(features, 0.005)
    return Truth(np.full(features, 0.02), none, none, magnitude)


def _null_update(rng: Rng, magnitude: NDArray[np.float64]) -> VerdictTable:
    return judged(Policy(), binomial_gamma(rng, document_lengths(rng, 200), _magnitudes(magnitude)))


def _labels(world: World, concepts: int) -> CorpusLabels:
    bounds = np.searchsorted(world.document, np.arange(1, world.documents))
    return CorpusLabels(
        np.arange(world.documents),
        {
            f"concept-{k}": [
                [(int(i), int(i) + 1) for i in np.flatnonzero(s > 0)]
                for s in np.split(world.strength[:, k], bounds)
            ]
            for k in range(concepts)
        },
    )


@contextmanager
def _snapshots(corpus: Corpus, *sides: Float32, sparse: int) -> Iterator[list[SnapshotReader]]:
    """Snapshots of these values, the first `sparse` columns sparse."""
    with tempfile.TemporaryDirectory(prefix="featuredrift-calibration-") as folder:
        store = ArtifactStore(Path(folder).as_uri())
        yield [
            SnapshotReader(store, write_snapshot(store, str(i), corpus, x, sparse))
            for i, x in enumerate(sides)
        ]
