"""Scores against labels with document effects and a known difference of AUROC."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtr, ndtri

from workers.comparison import CorpusLabels
from workers.comparison.concepts import concept_evidence
from workers.comparison.pairing import PairBlock, Units
from workers.drift.inference import Inference, infer
from workers.drift.policy import Policy, firing_stratum
from workers.snapshots import Column, Columns

Values = NDArray[np.float32]
Rng = np.random.Generator

CONCEPT = "concept"


@dataclass(frozen=True)
class Labelled:
    """Labels of a corpus; some documents have none."""

    document: NDArray[np.int64]
    positive: NDArray[np.bool_]
    documents: int

    def corpus(self) -> CorpusLabels:
        """The labels as spans of one character a token, as `Paired` places them."""
        bounds = np.searchsorted(self.document, np.arange(1, self.documents))
        spans = [
            [(int(i), int(i) + 1) for i in np.flatnonzero(flags)]
            for flags in np.split(self.positive, bounds)
        ]
        return CorpusLabels(np.arange(self.documents), {CONCEPT: spans})


class Paired:
    """Values of both sides in memory, as `workers.comparison.pairing.Pairs`."""

    unit = "tokens"

    def __init__(self, labelled: Labelled, a: Values, b: Values, *, sparse: bool) -> None:
        """Take [tokens, features] of both sides, all sparse or all dense."""
        first = np.searchsorted(labelled.document, np.arange(labelled.documents))
        place = (np.arange(len(a)) - first[labelled.document]).astype(np.int32)
        document = labelled.document.astype(np.int32)
        self.units = Units(document, place, place + 1, labelled.document, 0, 0)
        self.notes: tuple[str, ...] = ()
        none = np.zeros((len(a), 0), np.float32)
        self._sparse = tuple(csr_array(x if sparse else none) for x in (a, b))
        self._dense = (none, none) if sparse else (a, b)

    def blocks(self, bounds: Sequence[int], sparse_columns: slice) -> Iterator[PairBlock]:
        """See `Pairs.blocks`."""
        for start, stop in pairwise(bounds):
            a, b = (x[start:stop, sparse_columns] for x in self._sparse)
            yield PairBlock(start, a, b, *(x[start:stop] for x in self._dense))


def label(rng: Rng, tokens: NDArray[np.int64], prevalence: float) -> Labelled:
    """Label a corpus with documents of these lengths.

    Args:
        prevalence: mean share of labelled tokens; by document it is beta.
    """
    share = rng.beta(1, (1 - prevalence) / prevalence, len(tokens))
    document = np.repeat(np.arange(len(tokens)), tokens)
    return Labelled(document, rng.random(len(document)) < share[document], len(tokens))


def inference(
    labelled: Labelled, a: Values, b: Values, policy: Policy, *, sparse: bool
) -> tuple[Inference, bool]:
    """What the service infers of ΔAUROC for features [tokens, features] that claim the concept.

    Returns:
        The inference, and whether the service would give it: enough documents carry the concept.
    """
    names = [f"f{i}" for i in range(a.shape[1])]
    columns = tuple(Column(name) for name in names)
    found = concept_evidence(
        Paired(labelled, a, b, sparse=sparse),
        Columns(sparse=columns if sparse else (), dense=() if sparse else columns),
        dict.fromkeys(names, CONCEPT),
        labelled.corpus(),
        replace(policy, min_active_documents=2),
    )
    firing = ((a > 0).mean(0) + (b > 0).mean(0)) / 2
    stratum = firing_stratum(firing, np.full(len(names), not sparse))
    carrying = len(np.unique(labelled.document[labelled.positive]))
    told = carrying >= policy.min_active_documents
    return infer("concept", found.estimates, policy, stratum[found.where]), told


def probe(rng: Rng, labelled: Labelled, truth: float | None = None) -> tuple[Values, Values, float]:
    """A probe's scores: Gaussian, with document effects that both sides share in part.

    Args:
        truth: the true difference; drawn where not given.

    Returns:
        Both sides, and the true difference Φ(s_b/√2) − Φ(s_a/√2) for separations s.
    """
    document, documents, between, common = labelled.document, labelled.documents, 0.2, 0.8
    low = rng.uniform(0.5, 2.5)
    separation = (low, low + rng.uniform(-0.3, 0.3))
    if truth is not None:
        separation = (low, np.sqrt(2) * ndtri(ndtr(low / np.sqrt(2)) + truth))
    shared = rng.normal(size=documents), rng.normal(size=len(document))
    sides = []
    for value in separation:
        effect, noise = (
            np.sqrt(common) * x + np.sqrt(1 - common) * rng.normal(size=len(x)) for x in shared
        )
        score = np.sqrt(between) * effect[document] + np.sqrt(1 - between) * noise
        sides.append((value * labelled.positive + score).astype(np.float32))
    difference = ndtr(separation[1] / np.sqrt(2)) - ndtr(separation[0] / np.sqrt(2))
    return sides[0], sides[1], float(difference)


def latent(
    rng: Rng, labelled: Labelled, truth: float | None = None
) -> tuple[Values, Values, float]:
    """A latent that fires on part of the concept's tokens and rarely elsewhere.

    Values are alike wherever it fires, so that AUROC = ½ + (recall − false alarms)/2. A document's
    recall lies half above or half below the mean, the same way on both sides. The second side's
    values differ a little everywhere, as after any update: what is equal bit for bit has no error
    by definition, and says nothing of intervals.

    Args:
        truth: the true difference; drawn where not given.
    """
    document, positive = labelled.document, labelled.positive
    first, false_alarm = rng.uniform(0.3, 0.8), rng.uniform(0.001, 0.05)
    recall = (first, first + (rng.uniform(-0.1, 0.1) if truth is None else 2 * truth))
    uniform, value = rng.random(len(document)), rng.exponential(size=len(document)) + 0.01
    high = rng.random(labelled.documents) < 0.5
    update = np.exp(0.1 * rng.standard_normal(len(document)))
    sides = []
    for side, mean in enumerate(recall):
        spread = 0.5 * min(mean, 1 - mean)
        chance = np.where(high, mean + spread, mean - spread)[document]
        fires = uniform < np.where(positive, chance, false_alarm)
        here = value * update if side else value
        sides.append(np.where(fires, here, 0).astype(np.float32))
    return sides[0], sides[1], (recall[1] - recall[0]) / 2
