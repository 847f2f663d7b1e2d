"""One snapshot's raw activations with the features, labels and tokens that belong to them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.registry.definitions import Composite, Feature, SaeLatent
from workers.baselines.judge import BaselineQuestion, judge_baselines
from workers.comparison import CorpusLabels
from workers.comparison.corpus import overlaps
from workers.comparison.pairing import NotComparableError
from workers.comparison.sites import SiteSample, feature_values, single_sample
from workers.controls.outcome import ControlOutcome
from workers.controls.permuted_labels import judge_permuted_labels
from workers.controls.readouts import Chance, measure_chance
from workers.pipeline.case import Case
from workers.pipeline.context import Context
from workers.pipeline.corpus import token_ids
from workers.snapshots import SnapshotReader


def sites_of(name: str, features: Mapping[str, Feature], sites: Mapping[str, str]) -> list[str]:
    """Where a feature reads, each site once: its own, its dictionary's, or its components'.

    Args:
        sites: by dictionary.
    """
    feature = features[name]
    if isinstance(feature, SaeLatent):
        return [sites[feature.dictionary]]
    if not isinstance(feature, Composite):
        return [feature.site]
    parts = [sites_of(part.feature, features, sites) for part in feature.components]
    return list(dict.fromkeys(site for part in parts for site in part))


MAX_TOKENS = 32_768
"""More tokens of the same documents tell little more of an AUROC, and each one is ranked for
hundreds of random read-outs."""


@dataclass(frozen=True)
class LabelledSample:
    """The stored activations of one role, and who reads what there."""

    reader: SnapshotReader
    sample: SiteSample
    corpus: CorpusLabels
    concepts: Mapping[str, str]
    """Of the features whose concept the corpus labels."""
    features: Mapping[str, Feature]
    sites: Mapping[str, str]
    """By dictionary."""
    token_keys: NDArray[np.integer]
    """[tokens of the sample]"""

    @classmethod
    def of(
        cls, context: Context, case: Case, corpus: CorpusLabels, role: str
    ) -> "LabelledSample | None":
        """The sample of a role; None where no raw activations were kept, or nothing is labelled.

        Raises:
            EvaluationError: the snapshot is damaged.
        """
        if role not in case.readers or not case.question.target.concepts:
            return None
        reader = case.readers[role]
        try:
            sample = single_sample(reader, corpus)
        except NotComparableError:
            return None
        sample = _thinned(sample)
        snapshot = case.snapshots[role]
        keys = token_ids(context, snapshot.plan["tokens_key"], snapshot.inputs["batch_tokens"])
        target = case.question.target
        return cls(
            reader=reader,
            sample=sample,
            corpus=corpus,
            concepts=target.concepts,
            features={feature.name: feature.definition for feature in target.features},
            sites={d.name: context.dictionaries.find(d).site for d in target.dictionaries},
            token_keys=keys[sample.rows],
        )

    @cached_property
    def questions(self) -> list[BaselineQuestion]:
        """One for each feature with a concept."""
        return [
            BaselineQuestion(name, concept, tuple(sites_of(name, self.features, self.sites)))
            for name, concept in self.concepts.items()
        ]

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """[tokens, questions] what the snapshot holds."""
        names = [question.name for question in self.questions]
        return feature_values(self.reader, names, self.sample.rows)

    @cached_property
    def labels(self) -> dict[str, NDArray[np.bool_]]:
        """[tokens] by concept, those alone that the corpus labels."""
        return {
            concept: overlaps(
                self.corpus.labels[concept],
                self.sample.document,
                self.sample.start,
                self.sample.end,
            )
            for concept in sorted(set(self.concepts.values()))
            if concept in self.corpus.labels
        }

    def chance(self, seed: int) -> dict[str, Chance | str]:
        """How well each feature and its random counterparts read the concept."""
        return measure_chance(
            self.reader,
            self.sample,
            self.corpus,
            self.concepts,
            self.features,
            self.sites,
            seed=seed,
        )

    def permuted(self, alpha: float, seed: int) -> ControlOutcome:
        """The permuted-labels control."""
        return judge_permuted_labels(
            self.sample, self.values, self.questions, self.labels, alpha=alpha, seed=seed
        )

    def baselines(self, margin: float, alpha: float, seed: int) -> dict[str, dict[str, Any]]:
        """Each feature beside simple read-outs of its concept."""
        return judge_baselines(
            self.sample,
            self.values,
            self.questions,
            self.labels,
            self.token_keys,
            margin,
            alpha,
            seed,
        )


def _thinned(sample: SiteSample) -> SiteSample:
    """Every n-th token of a sample, so that about `MAX_TOKENS` are left, of all its documents."""
    step = -(-len(sample) // MAX_TOKENS)
    if step <= 1:
        return sample
    rows = slice(None, None, step)
    return replace(
        sample,
        rows=sample.rows[rows],
        document=sample.document[rows],
        start=sample.start[rows],
        end=sample.end[rows],
        cluster=sample.cluster[rows],
        a=_ThinnedSites(sample.a, step),
        b=_ThinnedSites(sample.b, step),
    )


class _ThinnedSites(Mapping[str, NDArray[np.float32]]):
    """Every n-th token of each site, read when asked for; the last one is kept."""

    def __init__(self, sites: Mapping[str, NDArray[np.float32]], step: int) -> None:
        self._sites = sites
        self._step = step
        self._last: tuple[str, NDArray[np.float32]] | None = None

    def __getitem__(self, site: str) -> NDArray[np.float32]:
        if self._last is None or self._last[0] != site:
            self._last = (site, np.ascontiguousarray(self._sites[site][:: self._step]))
        return self._last[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sites)

    def __len__(self) -> int:
        return len(self._sites)
