"""Features beside a logistic probe, a difference of means and a token lookup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workers.baselines.aurocs import Difference, auroc, counts, difference
from workers.baselines.design import Design
from workers.baselines.folds import FOLDS, cluster_folds, too_few
from workers.baselines.readouts import (
    mean_difference_scores,
    probe_scores,
    token_lookup_scores,
)
from workers.baselines.rule import BASELINES, Bounds, earns_keep

Flags = NDArray[np.bool_]


class Sample(Protocol):
    """Activations of the baseline checkpoint at some tokens."""

    @property
    def cluster(self) -> NDArray[np.int64]:
        """[tokens] unit of inference, from 0."""

    @property
    def a(self) -> Mapping[str, NDArray[np.float32]]:
        """[tokens, width] by site."""


@dataclass(frozen=True)
class BaselineQuestion:
    """A feature that claims to stand for a concept."""

    name: str
    concept: str
    sites: tuple[str, ...]
    """Where it reads; a baseline is fitted on all of them side by side."""


@dataclass(frozen=True)
class CrossFitted:
    """The out-of-fold scores of one baseline; None where they cannot be told."""

    scores: NDArray[np.float64] | None
    figures: dict[str, Any]


def judge_baselines(
    sample: Sample,
    values: NDArray[np.float32],
    features: Sequence[BaselineQuestion],
    labels: Mapping[str, Flags],
    token_keys: NDArray[np.integer],
    margin: float,
    alpha: float = 0.05,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """By how much each feature beats or loses to each baseline on its concept.

    Args:
        sample: n tokens of the baseline checkpoint.
        values: [n, features] the features' values there, in the order of `features`.
        labels: by concept, [n] whether the token carries it.
        token_keys: [n] one integer for each distinct token.
        margin: the largest difference of AUROC that does not matter.
        alpha: AUROCs have intervals of confidence 1 − alpha; the three differences of a feature
            hold together with that confidence (Bonferroni).

    Returns:
        By feature, plain JSON values: `feature`, `probe`, `difference_of_means`, `token_lookup`,
        `earns_keep` ("yes", "no", "not_shown"), `reason`, and what was counted.

    Raises:
        ValueError: arrays that do not fit together, or a margin or alpha out of range.
    """
    _check(sample, values, features, labels, token_keys, margin, alpha)
    fits: dict[str, _Concept] = {}
    result = {}
    for column, question in enumerate(features):
        if question.concept not in labels:
            reason = f"The corpus has no labels for concept {question.concept!r}."
            result[question.name] = _untold(question, reason)
            continue
        if question.concept not in fits:
            positive = labels[question.concept]
            fits[question.concept] = _Concept(sample, positive, token_keys, alpha, seed)
        result[question.name] = _judge(
            fits[question.concept], question, values[:, column], margin, alpha
        )
    return result


def _judge(
    concept: "_Concept",
    question: BaselineQuestion,
    values: NDArray[np.float32],
    margin: float,
    alpha: float,
) -> dict[str, Any]:
    if concept.fault:
        return {**_untold(question, concept.fault), **concept.counts}
    own = auroc(values, concept.positive, concept.cluster, concept.fold, alpha)
    evidence: dict[str, Any] = {}
    bounds: dict[str, Bounds | None] = {}
    for baseline in BASELINES:
        fitted = concept.fitted(baseline, question.sites)
        bounds[baseline] = None
        evidence[baseline] = dict(fitted.figures)
        if fitted.scores is None:
            continue
        found = difference(
            fitted.scores,
            values,
            concept.positive,
            concept.cluster,
            concept.fold,
            alpha / len(BASELINES),
        )
        bounds[baseline] = Bounds(found.value, found.lower, found.upper)
        evidence[baseline] |= _figures(found)
    verdict, reason = earns_keep(own, bounds, margin)
    return {
        "concept": question.concept,
        "sites": list(question.sites),
        **concept.counts,
        "folds": FOLDS,
        "margin": margin,
        "confidence": 1 - alpha,
        "feature": {"auroc": own.value, "lower": own.lower, "upper": own.upper},
        **evidence,
        "earns_keep": verdict,
        "reason": reason,
    }


class _Concept:
    """All fits for one concept, each made once however many features ask."""

    def __init__(
        self,
        sample: Sample,
        positive: Flags,
        token_keys: NDArray[np.integer],
        alpha: float,
        seed: int,
    ) -> None:
        self.positive, self.cluster = positive, sample.cluster
        self.fault = too_few(sample.cluster, positive)
        documents, with_concept, effective = counts(positive, sample.cluster)
        self.counts = {
            "documents": documents,
            "documents_with_concept": with_concept,
            "effective_documents": effective,
            "tokens": len(positive),
            "tokens_with_concept": int(np.count_nonzero(positive)),
        }
        self._sample, self._keys, self._alpha, self._seed = sample, token_keys, alpha, seed
        self._fits: dict[tuple[str, tuple[str, ...]], CrossFitted] = {}

    @cached_property
    def fold(self) -> NDArray[np.intp]:
        """[tokens]"""
        return cluster_folds(self.cluster, self.positive, self._seed)

    def fitted(self, baseline: str, sites: tuple[str, ...]) -> CrossFitted:
        """The scores of one baseline; a lookup knows no sites."""
        key = (baseline, () if baseline == "token_lookup" else tuple(sorted(set(sites))))
        if key not in self._fits:
            self._fits[key] = self._fit(*key)
        return self._fits[key]

    def _fit(self, baseline: str, sites: tuple[str, ...]) -> CrossFitted:
        figures: dict[str, Any] = {}
        if baseline == "token_lookup":
            scores = token_lookup_scores(self._keys, self.positive, self.fold)
            figures["distinct_tokens"] = len(np.unique(self._keys))
        else:
            missing = [s for s in sites if s not in self._sample.a]
            if missing or not sites:
                what = f"No activations of {missing[0]} were kept" if missing else "It has no site"
                return CrossFitted(None, {"note": f"{what}, so that nothing was fitted."})
            design = Design([self._sample.a[s] for s in sites])
            if baseline == "probe":
                probe = probe_scores(design, self.positive, self.fold, self._seed)
                scores = probe.scores
                figures["fitted_tokens"] = probe.fitted_tokens
                figures["converged"] = probe.converged
            else:
                scores = mean_difference_scores(design, self.positive, self.fold)
        own = auroc(scores, self.positive, self.cluster, self.fold, self._alpha)
        figures |= {"auroc": own.value, "lower": own.lower, "upper": own.upper}
        return CrossFitted(scores, figures)


def _figures(found: Difference) -> dict[str, float]:
    return {
        "difference": found.value,
        "difference_lower": found.lower,
        "difference_upper": found.upper,
    }


def _untold(question: BaselineQuestion, reason: str) -> dict[str, Any]:
    return {
        "concept": question.concept,
        "sites": list(question.sites),
        "feature": None,
        **dict.fromkeys(BASELINES),
        "earns_keep": "not_shown",
        "reason": reason,
    }


def _check(
    sample: Sample,
    values: NDArray[np.float32],
    features: Sequence[BaselineQuestion],
    labels: Mapping[str, Flags],
    token_keys: NDArray[np.integer],
    margin: float,
    alpha: float,
) -> None:
    n = len(sample.cluster)
    if values.shape != (n, len(features)):
        raise ValueError(
            f"values {values.shape} for {n} tokens and {len(features)} features; give one row a "
            "token and one column a feature"
        )
    lengths = {"token_keys": len(token_keys)} | {
        f"labels of {concept!r}": len(flags) for concept, flags in labels.items()
    }
    for what, length in lengths.items():
        if length != n:
            raise ValueError(f"{what}: {length} values for {n} tokens; give one a token")
    if not 0 < margin < 1 or not 0 < alpha < 1:
        raise ValueError(f"margin {margin} and alpha {alpha} must lie between 0 and 1")
