"""Random read-outs matched to a feature: what reads a concept by chance at the same sites.

A dense feature (probe, direction, neuron) is matched by random directions at its site. A sparse
one (a latent) is matched by a random direction less a threshold, rectified, that fires as often: a
latent of a frozen random sparse autoencoder. AUROC knows no scale, so that the norm matters in
composites only, whose random components are given the spread of the real ones.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.registry.definitions import Composite, Feature, SaeLatent
from workers.comparison.corpus import CorpusLabels, overlaps
from workers.comparison.sites import SiteSample, feature_values
from workers.drift.auroc import Labels, Scores, paired_auroc
from workers.features import composites
from workers.snapshots import SnapshotReader

DIRECTIONS = 200
"""Random read-outs for each feature."""
_GROUP = 64
"""Features whose values are in memory at once."""
MIN_DOCUMENTS = 5
"""With the concept in fewer documents of the sample, nothing is said."""

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Chance:
    """How well a feature and its random counterparts read the feature's concept on one sample."""

    auroc: float
    """Of the feature."""
    se: float
    """Its standard error, clustered by document (Obuchowski 1997)."""
    random: Float64
    """[directions] of the random read-outs, as they were drawn."""
    documents: int
    """Documents of the sample that carry the concept."""
    tokens: int
    positive_tokens: int

    @property
    def mean(self) -> float:
        """Mean AUROC of the random read-outs."""
        return float(self.random.mean())

    @property
    def sd(self) -> float:
        """Standard deviation of the random read-outs' AUROC."""
        return float(self.random.std(ddof=1))

    @property
    def z(self) -> float:
        """How many of their standard deviations the feature lies above the random read-outs."""
        difference = self.auroc - self.mean
        if self.sd == 0:
            return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
        return difference / self.sd

    @property
    def oriented_p95(self) -> float:
        """95th percentile of the random read-outs' AUROC, each turned the better way."""
        return float(np.quantile(np.maximum(self.random, 1 - self.random), 0.95, method="higher"))


def measure_chance(
    reader: SnapshotReader,
    sample: SiteSample,
    corpus: CorpusLabels,
    concepts: Mapping[str, str],
    features: Mapping[str, Feature],
    sites: Mapping[str, str],
    *,
    directions: int = DIRECTIONS,
    seed: int = 0,
) -> dict[str, Chance | str]:
    """AUROC of each feature with a concept, and of its random counterparts, on one model.

    Args:
        reader: the snapshot of that model.
        sample: its raw activations (`single_sample`), read from side a.
        concepts: the concept of each feature that has one.
        features: definitions by name, components of composites among them.
        sites: the site of each dictionary, by its name.
        directions: random read-outs for each feature, at least 100.

    Returns:
        By feature; a sentence where it cannot be told.

    Raises:
        ValueError: fewer than 100 directions.
    """
    if directions < 100:
        raise ValueError(f"{directions} random directions give no 95th percentile; take 100")
    stored = {c.name for c in (*reader.columns.sparse, *reader.columns.dense)}
    random = RandomReadouts(reader, sample, features, sites, directions, seed)
    found: dict[str, Chance | str] = {}
    told: list[str] = []
    for name in sorted(stored & concepts.keys()):
        if concepts[name] not in corpus.labels:
            found[name] = f"The corpus has no labels for concept {concepts[name]!r}."
        elif name not in features:
            found[name] = "Its definition is not known, and so not where it reads."
        else:
            told.append(name)
    # By site, so that its projections are ranked once.
    told.sort(key=lambda name: (random.sites(name), name))
    masks = {
        concept: overlaps(corpus.labels[concept], sample.document, sample.start, sample.end)
        for concept in {concepts[name] for name in told}
    }
    for first in range(0, len(told), _GROUP):
        group = told[first : first + _GROUP]
        random.load(group)
        for name in group:
            found[name] = _chance(random, name, masks[concepts[name]], sample, corpus)
    return found


def _chance(
    random: "RandomReadouts",
    name: str,
    positive: Bools,
    sample: SiteSample,
    corpus: CorpusLabels,
) -> Chance | str:
    if missing := [site for site in random.sites(name) if site not in sample.a]:
        return f"No raw activations of site {missing[0]!r} are stored."
    documents = len(np.unique(sample.cluster[positive]))
    without = len(np.unique(sample.cluster[~positive]))
    if documents < MIN_DOCUMENTS or without < MIN_DOCUMENTS:
        return (
            f"Only {documents} documents of the sample carry the concept and {without} have tokens "
            f"without it; {MIN_DOCUMENTS} of each are needed."
        )
    labels = Labels(positive, sample.cluster, corpus.clusters)
    # Beside a score that is the same everywhere, whose AUROC is ½ without error.
    constant = Scores(np.zeros(0), np.zeros(0, np.int64))
    own = paired_auroc(Scores(random.value(name)), constant, labels)
    return Chance(
        own.baseline,
        float(np.sqrt(own.variance)),
        random.aurocs(name, positive),
        documents,
        len(positive),
        int(positive.sum()),
    )


class RandomReadouts:
    """Random counterparts of the features of one snapshot, over the tokens of a sample."""

    def __init__(
        self,
        reader: SnapshotReader,
        sample: SiteSample,
        features: Mapping[str, Feature],
        sites: Mapping[str, str],
        directions: int,
        seed: int,
    ) -> None:
        self._reader, self._sample, self._features = reader, sample, features
        self._dictionary_sites, self._directions, self._seed = sites, directions, seed
        self._sparse = {c.name for c in reader.columns.sparse}
        self._site: tuple[str, Float32, Float32] | None = None
        self._own: dict[str, Float32] = {}

    def load(self, names: Sequence[str]) -> None:
        """Read the values of some features and of what they are made of, in place of others."""
        needed = sorted({leaf for name in names for leaf in (name, *self._leaves(name))})
        values = feature_values(self._reader, needed, self._sample.rows)
        self._own = {name: values[:, i] for i, name in enumerate(needed)}

    def sites(self, name: str) -> tuple[str, ...]:
        """The sites that a feature reads, those of its components if it is a composite."""
        feature = self._features[name]
        if isinstance(feature, Composite):
            parts = (site for c in feature.components for site in self.sites(c.feature))
            return tuple(dict.fromkeys(parts))
        if isinstance(feature, SaeLatent):
            return (self._dictionary_sites[feature.dictionary],)
        return (feature.site,)

    def value(self, name: str) -> Float32:
        """[n] the values of a feature that was loaded."""
        return self._own[name]

    def _leaves(self, name: str) -> list[str]:
        feature = self._features[name]
        if not isinstance(feature, Composite):
            return [name]
        return [leaf for part in feature.components for leaf in self._leaves(part.feature)]

    def aurocs(self, name: str, positive: Bools) -> Float64:
        """[directions] AUROC of the random counterparts of a feature that was loaded."""
        if isinstance(self._features[name], Composite):
            return rank_auroc(_ranks(self._values(name)), positive)
        _, _, ranks = self._read(self.sites(name)[0])
        return rank_auroc(ranks, positive, self._rate(name))

    def _rate(self, name: str) -> float | None:
        """The share of tokens where a sparse feature is stored; None for a dense one."""
        if name not in self._sparse:
            return None
        return float(np.count_nonzero(self.value(name)) / max(len(self._sample), 1))

    def _values(self, name: str) -> Float32:
        """[n, directions] values of the random counterparts, with the feature's own spread."""
        feature = self._features[name]
        if isinstance(feature, Composite):
            return composites.evaluate(feature, self._values)
        own = self.value(name)
        _, x, ranks = self._read(self.sites(name)[0])
        rate = self._rate(name)
        if rate is None:
            spread = np.maximum(x.std(axis=0), np.finfo(np.float32).tiny)
            return np.asarray((x - x.mean(axis=0)) / spread * own.std() + own.mean(), np.float32)
        on = ranks > _cut(len(x), rate)
        threshold = np.where(on, -np.inf, x).max(axis=0, initial=-np.inf)
        rectified = np.where(on, x - np.where(np.isfinite(threshold), threshold, 0), 0)
        mean = rectified.sum(axis=0) / np.maximum(on.sum(axis=0), 1)
        active = own[own != 0].mean() if rate > 0 else 0.0
        return np.asarray(rectified * (active / np.where(mean > 0, mean, 1)), np.float32)

    def _read(self, site: str) -> tuple[str, Float32, Float32]:
        """Projections and ranks at a site, both [n, directions]; the last site is kept."""
        if self._site is None or self._site[0] != site:
            self._site = None
            x = self._sample.a[site]
            digest = hashlib.sha256(f"{self._seed}:{site}".encode()).digest()
            rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
            vectors = rng.standard_normal((x.shape[1], self._directions), np.float32)
            projected = x @ (vectors / np.linalg.norm(vectors, axis=0))
            self._site = (site, projected, _ranks(projected))
        return self._site


def rank_auroc(ranks: Float32, positive: Bools, rate: float | None = None) -> Float64:
    """AUROC of many columns at once (Mann and Whitney 1947), exact under ties.

    Args:
        ranks: [n, columns] midranks of each column, from 1.
        positive: [n]
        rate: only so large a share of each column, the highest values, counts as it is; the rest
            is tied at 0. None: all of it counts. Values tied with the threshold stay together.

    Returns:
        [columns] NaN where all or none are positive.
    """
    n, m = len(positive), int(positive.sum())
    if m in (0, n):
        return np.full(ranks.shape[1], np.nan)
    ours = ranks[positive].astype(np.float64)
    if rate is not None:
        cut = _cut(n, rate)
        zeros = n - np.count_nonzero(ranks > cut, axis=0)
        ours = np.where(ours > cut, ours, (zeros + 1) / 2)
    return np.asarray((ours.sum(axis=0) - m * (m + 1) / 2) / (m * (n - m)), np.float64)


def _cut(n: int, rate: float) -> float:
    """Ranks above this are the highest `rate` of n."""
    return n - round(rate * n) + 0.5


def _ranks(values: Float32) -> Float32:
    """Midranks by column, from 1; exact in float32 below eight million tokens."""
    n = len(values)
    ranks = np.empty(values.shape, np.float32)
    for column in range(values.shape[1]):
        value = np.ascontiguousarray(values[:, column])
        order = np.argsort(value)
        ordered = value[order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        sizes = np.diff(starts, append=n)
        ranks[order, column] = np.repeat(starts + (sizes + 1) / 2, sizes)
    return ranks
