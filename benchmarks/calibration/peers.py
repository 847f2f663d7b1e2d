"""The same snapshots through the service and its peers, dead and shuffled features among them."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from app.core.artifacts import ArtifactStore
from benchmarks.calibration.environments import PeerError
from benchmarks.calibration.peer_verdicts import PEERS, Flags, Values
from benchmarks.calibration.size import Size
from benchmarks.calibration.synthetic import document_lengths
from benchmarks.calibration.table import Row, Table, clopper_pearson, percent
from workers.comparison import CorpusLabels, compare_snapshots
from workers.drift.policy import Policy
from workers.snapshots import (
    Column,
    Columns,
    ShardContent,
    SnapshotReader,
    finish,
    snapshot_key,
    write_shard,
)

TITLE = "Beside the peers"
HOW = (
    "Share of features reported as drifted, {features} features of each case in one comparison of "
    "two snapshots, 200 documents. In the first six cases every true effect lies well inside the "
    "margins; the others have truly changed. Peers at their defaults: Evidently's "
    "`DataDriftPreset`, NannyML's `UnivariateDriftCalculator` (an alert in any of its chunks), "
    "scipy's two-sample KS test and paired t test over tokens with Benjamini–Hochberg at 5%. "
    "Latents fire at 0.5% to 10% of tokens, dead ones at 0.5%."
)
_DOCUMENTS = 200
Rng = np.random.Generator
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Corpus:
    """The document of each token."""

    document: NDArray[np.int64]
    documents: int


@dataclass(frozen=True)
class Case:
    """One kind of change; `draw` makes both sides of one feature, [tokens] each."""

    name: str
    drifted: bool
    sparse: bool
    draw: Callable[[Rng, Corpus], tuple[Array, Array]]


def run(size: Size, seed: int, processes: int = 1, peers: bool = True) -> Table:  # noqa: ARG001
    """Make the snapshots, and ask everybody."""
    rng = np.random.default_rng([seed, *b"peers"])
    lengths = document_lengths(rng, _DOCUMENTS)
    corpus = Corpus(np.repeat(np.arange(_DOCUMENTS), lengths), _DOCUMENTS)
    # Sparse features first, as in a snapshot.
    cases = sorted(CASES, key=lambda c: not c.sparse)
    a, b = (
        np.stack(side, axis=1).astype(np.float32)
        for side in zip(
            *(c.draw(rng, corpus) for c in cases for _ in range(size.peer_features)), strict=True
        )
    )
    sparse = sum(c.sparse for c in cases) * size.peer_features
    verdict = verdicts(corpus, a, b, sparse)
    ours, insufficient = verdict == "drifted", verdict == "insufficient"
    found: dict[str, Flags] = {}
    reasons = []
    for name, peer in PEERS.items() if peers else ():
        try:
            title, flags = peer(a, b)
        except PeerError as error:
            reasons.append(Row(name, "", f"{error}", "not run"))
        else:
            found[title] = flags
    rows = []
    for i, case in enumerate(cases):
        here = slice(i * size.peer_features, (i + 1) * size.peer_features)
        others = tuple(percent(float(flags[here].mean())) for flags in found.values())
        rows.append(_row(case, ours[here], insufficient[here], others))
    rows.sort(key=lambda r: r.wanted != "none")
    how = HOW.format(features=size.peer_features)
    return Table(TITLE, how, [*rows, *reasons], "Featuredrift", tuple(found))


def _row(case: Case, ours: Flags, insufficient: Flags, others: tuple[str, ...]) -> Row:
    measured = percent(float(ours.mean()))
    if insufficient.any():
        measured += f" ({percent(float(insufficient.mean()))} `insufficient`)"
    low, high = clopper_pearson(int(ours.sum()), len(ours))
    missed = high < 0.95 if case.drifted else low > Policy().q
    return Row(
        case.name, "all" if case.drifted else "none", measured, "FAIL" if missed else "pass", others
    )


def verdicts(corpus: Corpus, a: Values, b: Values, sparse: int) -> NDArray[np.str_]:
    """The service's verdicts on [tokens, features] of both sides, written as snapshots."""
    with tempfile.TemporaryDirectory(prefix="featuredrift-calibration-") as folder:
        store = ArtifactStore(Path(folder).as_uri())
        readers = [
            SnapshotReader(store, write_snapshot(store, side, corpus, x, sparse))
            for side, x in (("a", a), ("b", b))
        ]
        labels = CorpusLabels(np.arange(corpus.documents))
        found = compare_snapshots(readers[0], readers[1], labels, Policy())
    if found.invalid_reason is not None:
        raise RuntimeError(f"the made-up snapshots cannot be compared: {found.invalid_reason}")
    return found.verdicts.verdict


def write_snapshot(
    store: ArtifactStore, side: str, corpus: Corpus, values: Values, sparse: int
) -> str:
    """Write activations [tokens, features] as a snapshot, the first `sparse` columns sparse.

    Returns:
        Its key.
    """
    tokens = len(corpus.document)
    first = np.searchsorted(corpus.document, np.arange(corpus.documents))
    place = (np.arange(tokens) - first[corpus.document]).astype(np.int32)
    matrix = csr_array(values[:, :sparse])
    names = [f"f{i}" for i in range(values.shape[1])]
    inputs = {"side": side, "tokens": tokens, "features": values.shape[1]}
    key = snapshot_key(inputs)
    content = ShardContent(
        document=corpus.document.astype(np.int32),
        start=place,
        end=place + 1,
        flags=np.zeros(tokens, np.uint8),
        indptr=matrix.indptr.astype(np.int64),
        indices=matrix.indices.astype(np.int32),
        values=matrix.data.astype(np.float32),
        dense=np.ascontiguousarray(values[:, sparse:], dtype=np.float32),
    )
    write_shard(store, key, 0, content, first_batch=0, stop_batch=1)
    finish(
        store,
        key,
        inputs=inputs,
        columns=Columns(
            sparse=tuple(Column(n) for n in names[:sparse]),
            dense=tuple(Column(n) for n in names[sparse:]),
        ),
        shards=1,
        documents=corpus.documents,
        split_documents=0,
    )
    return key


def _latent(rng: Rng, corpus: Corpus, firing: float | None = None) -> Array:
    """A latent whose firing rate and size differ by document."""
    firing = firing or 10 ** rng.uniform(np.log10(0.005), -1)
    rate = np.minimum(firing * rng.gamma(3, 1 / 3, corpus.documents), 0.9)[corpus.document]
    level = np.exp(rng.normal(0, 0.3, corpus.documents))[corpus.document]
    value = level * np.exp(rng.normal(0, 0.8, len(rate)))
    return np.where(rng.random(len(rate)) < rate, value, 0.0)


def _change(
    rng: Rng, corpus: Corpus, *, lost: float, gained: float, documents: float, scale: float = 1.0
) -> tuple[Array, Array]:
    """Loses and gains firings, with sizes that vary by document as given."""
    a = _latent(rng, corpus)
    share = np.where(rng.random(corpus.documents) < 0.5, 0.2, 1.8)[corpus.document]
    toward = np.where(rng.random(corpus.documents) < 0.5, 0.0, 2.0)[corpus.document]
    if documents == 0:
        share = toward = np.ones(len(a))
    on = a > 0
    kept = on & (rng.random(len(a)) >= lost * share * toward)
    rate = on.mean() / (1 - on.mean())
    new = ~on & (rng.random(len(a)) < gained * rate * share * (2 - toward))
    drift = np.exp(rng.normal(0, documents, corpus.documents) - documents**2 / 2)[corpus.document]
    b = np.where(kept, a * np.exp(rng.normal(0, 0.05, len(a))), 0)
    b = np.where(new, np.median(a[on]) * np.exp(rng.normal(0, 0.8, len(a))), b)
    return a, scale * drift * b


def _numerics(rng: Rng, corpus: Corpus) -> tuple[Array, Array]:
    a = _latent(rng, corpus)
    return a, a * (1 + rng.normal(0, 0.003, len(a)))


def _dead(rng: Rng, corpus: Corpus) -> tuple[Array, Array]:
    a = _latent(rng, corpus, 0.005)
    return a, np.zeros_like(a)


def _within_documents(rng: Rng, corpus: Corpus, a: Array) -> Array:
    """The same values at other tokens of the same documents."""
    return a[np.lexsort((rng.random(len(a)), corpus.document))]


def _shuffled(rng: Rng, corpus: Corpus) -> tuple[Array, Array]:
    a = _latent(rng, corpus)
    return a, _within_documents(rng, corpus, a)


def _probe(
    rng: Rng, corpus: Corpus, *, shift: float = 0.0, documents: float = 0.0, scale: float = 1.0
) -> tuple[Array, Array]:
    between = rng.normal(0, np.sqrt(0.2), corpus.documents)[corpus.document]
    a = between + rng.normal(0, np.sqrt(0.8), len(between))
    moved = rng.normal(0, documents, corpus.documents)[corpus.document]
    return a, scale * (a + moved + rng.normal(0, 0.1, len(a))) + shift


def _shuffled_probe(rng: Rng, corpus: Corpus) -> tuple[Array, Array]:
    a, _ = _probe(rng, corpus)
    return a, _within_documents(rng, corpus, a)


CASES = (
    Case("latent, other numerics (values ± 0.3%)", False, True, _numerics),
    Case(
        "latent, 2% of firings lost and 2% gained, values 3% larger",
        False,
        True,
        lambda r, c: _change(r, c, lost=0.02, gained=0.02, documents=0, scale=1.03),
    ),
    Case(
        "latent, documents go up and down, on average nothing changes",
        False,
        True,
        lambda r, c: _change(r, c, lost=0.04, gained=0.04, documents=0.3),
    ),
    Case("probe, noise of a tenth", False, False, _probe),
    Case(
        "probe, shift of a quarter of the margin",
        False,
        False,
        lambda r, c: _probe(r, c, shift=0.05),
    ),
    Case(
        "probe, documents go up and down, on average nothing changes",
        False,
        False,
        lambda r, c: _probe(r, c, documents=0.2),
    ),
    Case("latent, dead", True, True, _dead),
    Case("latent, shuffled: as often, on other tokens of the document", True, True, _shuffled),
    Case(
        "latent, half of its firings lost",
        True,
        True,
        lambda r, c: _change(r, c, lost=0.5, gained=0, documents=0),
    ),
    Case(
        "latent, values 1.6 times as large",
        True,
        True,
        lambda r, c: _change(r, c, lost=0.01, gained=0.01, documents=0, scale=1.6),
    ),
    Case("probe, shift of two margins", True, False, lambda r, c: _probe(r, c, shift=0.4)),
    Case("probe, scale of two margins", True, False, lambda r, c: _probe(r, c, scale=1.25**2)),
    Case("probe, shuffled: the same values on other tokens", True, False, _shuffled_probe),
)
