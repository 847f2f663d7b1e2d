"""Permuted labels: an AUROC is trusted only where labels without meaning give it .5.

The permutations are circular shifts of the labels along the tokens, which keep the lengths of their
runs and so the dependence between neighbours; they form a group, as an exact randomisation test
needs (Lehmann and Romano 2005, section 15.2). A shift's AUROC is a sum of ranks at the shifted
places, so that one Fourier transform gives it for all shifts at once: the null distribution is
complete, and no seed chooses it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.stats import rankdata

from workers.baselines.aurocs import NULL_INFLATION
from workers.baselines.design import Design
from workers.baselines.folds import cluster_folds, too_few
from workers.baselines.judge import BaselineQuestion, Sample
from workers.baselines.readouts import probe_scores
from workers.controls.outcome import ControlOutcome, FeatureOutcome, overall

NAME = "permuted_labels"

LEAK_Z = 4.0
"""Standard deviations above which a probe of meaningless labels has seen the documents that it is
scored on. Every (concept, sites) is tested at each evaluation, so that the
level is 3e-5 and not a twentieth."""

_BENT = 0.005
"""How far from .5 the null interval may stay. The shifts average to .5 exactly, but a feature that
fires on few tokens misses rare labels at nearly all shifts, which costs it half its firing rate."""

_GUARD = 0.01
"""Shifts by less than this share of the tokens leave labels within reach of where they belong."""

_PROBED_DOCUMENTS = 480
"""Documents that all fits together see: one document tells little of another's copy."""
_MOST_FITS = 6

Flags = NDArray[np.bool_]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class ProbeCheck:
    """Probes that were fitted to shifted labels: how they did, on average, on documents that they
    had not seen."""

    auroc: float
    lower: float
    upper: float
    z: float
    """Standard deviations above the mean of what chance gives, of all fits together."""

    @property
    def leaks(self) -> bool:
        """Whether it knows the documents that it is scored on."""
        return self.z > LEAK_Z

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"auroc": self.auroc, "null": [self.lower, self.upper], "z": self.z}


def judge_permuted_labels(
    sample: Sample,
    values: NDArray[np.float32],
    features: Sequence[BaselineQuestion],
    labels: Mapping[str, Flags],
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> ControlOutcome:
    """The control for every feature with a labelled concept; the others are not in the outcome.

    A feature passes when the null interval of its AUROC reaches .5, and the probe that it is
    compared with, fitted to shifted labels, finds nothing in documents that it has not seen.

    Args:
        sample: n tokens of the baseline checkpoint, in the order of the corpus or the snapshot.
        values: [n, features] in the order of `features`.
        labels: by concept, [n].
        alpha: the null interval holds 1 − alpha of all shifts.
        seed: of the probe's folds, of its fitting tokens, and of the shift it is fitted to.

    Raises:
        ValueError: arrays that do not fit together.
    """
    n = len(sample.cluster)
    if values.shape != (n, len(features)):
        raise ValueError(
            f"values {values.shape} for {n} tokens and {len(features)} features; give one row a "
            "token and one column a feature"
        )
    probes: dict[tuple[str, tuple[str, ...]], ProbeCheck | None] = {}
    shifts: dict[str, ShiftedLabels] = {}
    outcomes: dict[str, FeatureOutcome] = {}
    for column, question in enumerate(features):
        if question.concept not in labels:
            continue
        positive = labels[question.concept]
        if positive.shape != (n,):
            raise ValueError(
                f"labels of {question.concept!r}: {len(positive)} values for {n} tokens"
            )
        if fault := too_few(sample.cluster, positive):
            outcomes[question.name] = FeatureOutcome(None, fault, {})
            continue
        if question.concept not in shifts:
            shifts[question.concept] = ShiftedLabels(positive)
        key = (question.concept, tuple(sorted(set(question.sites))))
        if key not in probes:
            probes[key] = _check_probe(sample, positive, key[1], alpha, seed)
        aurocs = shifts[question.concept].aurocs(values[:, column])
        outcomes[question.name] = _judge(aurocs, probes[key], alpha)
    return _outcome(outcomes, probes)


class ShiftedLabels:
    """All circular shifts of some labels, ready to be held against any scores.

    Args:
        positive: [tokens].
        fold: [tokens]; where given, pairs within folds only.
    """

    def __init__(self, positive: Flags, fold: NDArray[np.intp] | None = None) -> None:
        self._tokens = len(positive)
        self._flags = np.conj(fft.rfft(positive.astype(np.float64)))
        self._places: list[Flags | slice]
        counts: list[Any]
        if fold is None:
            self._places = [slice(None)]
            counts = [int(np.count_nonzero(positive))]
            sizes = [len(positive)]
        else:
            masks = [fold == k for k in np.unique(fold)]
            self._places = list(masks)
            counts = [np.rint(self._summed(here.astype(np.float64))) for here in masks]
            sizes = [int(here.sum()) for here in masks]
        self._least = sum(m * (m + 1) / 2 for m in counts)
        self._pairs = sum(m * (n - m) for m, n in zip(counts, sizes, strict=True))

    def aurocs(self, scores: NDArray[np.floating]) -> Float64:
        """AUROC of scores [tokens] for the labels shifted by 0, 1, … tokens; [tokens].

        Ties count half; [0] is that of the labels as they are. NaN for a shift that leaves no pair
        of a positive and a negative.
        """
        ranks = np.empty(len(scores))
        for here in self._places:
            ranks[here] = rankdata(scores[here])
        ordered = self._summed(ranks) - self._least
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self._pairs > 0, ordered / self._pairs, np.nan)

    def _summed(self, x: Float64) -> Float64:
        """Σ x over the positives of each shift: label i of a shift by s stands at token i + s."""
        result: Float64 = fft.irfft(fft.rfft(x) * self._flags, self._tokens)
        return result


def probe_on_shifted_labels(
    design: Design,
    positive: Flags,
    cluster: NDArray[np.integer],
    *,
    alpha: float,
    seed: int,
    fold: NDArray[np.intp] | None = None,
) -> ProbeCheck:
    """Fit cross-fitted probes to shifted labels and score each on the folds it has not seen.

    A fit's null distribution is that of the same scores over all further shifts, whose labels took
    no part in the fit and whose spread is therefore too small by `NULL_INFLATION`. Several shifts
    are fitted, the fewer documents the more: given the activations, scores of labels without
    meaning that are documents apart are as good as independent, so that their z add up as
    Stouffer's do (1949), and what one fit to few documents cannot show, six can.

    Args:
        design, positive, cluster: of the tokens.
        fold: [tokens]; folds of whole clusters where not given.
    """
    spread, found = [], []
    for offset in _offsets(len(positive), int(cluster.max()) + 1, seed):
        shifted = np.roll(positive, offset)
        folds = cluster_folds(cluster, shifted, seed) if fold is None else fold
        scores = probe_scores(design, shifted, folds, seed).scores
        aurocs = ShiftedLabels(shifted, folds).aurocs(scores)
        null = _null(aurocs)
        found.append((aurocs[0], null.mean(), *np.quantile(null, (alpha / 2, 1 - alpha / 2))))
        spread.append(NULL_INFLATION * null.std())
    auroc, centre, lower, upper = np.array(found).T
    if min(spread) == 0:
        return ProbeCheck(float(auroc.mean()), float(lower.mean()), float(upper.mean()), 0.0)
    narrower = np.sqrt(len(found))
    return ProbeCheck(
        float(auroc.mean()),
        float(centre.mean() + (lower - centre).mean() / narrower),
        float(centre.mean() + (upper - centre).mean() / narrower),
        float(((auroc - centre) / np.array(spread)).sum() / narrower),
    )


def _offsets(tokens: int, documents: int, seed: int) -> list[int]:
    """By how many tokens to shift: evenly apart, from a random first."""
    fits = int(np.clip(_PROBED_DOCUMENTS // documents, 2, _MOST_FITS))
    guard = int(_GUARD * tokens) + 1
    turn = (np.random.default_rng(seed).random() + np.arange(fits) / fits) % 1
    return [guard + int(x * (tokens - 2 * guard)) for x in turn]


def _check_probe(
    sample: Sample, positive: Flags, sites: tuple[str, ...], alpha: float, seed: int
) -> ProbeCheck | None:
    if not sites or any(site not in sample.a for site in sites):
        return None
    design = Design([sample.a[site] for site in sites])
    return probe_on_shifted_labels(design, positive, sample.cluster, alpha=alpha, seed=seed)


def _null(aurocs: Float64) -> Float64:
    guard = int(_GUARD * len(aurocs)) + 1
    null = aurocs[guard : len(aurocs) - guard + 1]
    return null[np.isfinite(null)]


def _judge(aurocs: Float64, probe: ProbeCheck | None, alpha: float) -> FeatureOutcome:
    auroc, null = float(aurocs[0]), _null(aurocs)
    lower, upper = (float(x) for x in np.quantile(null, (alpha / 2, 1 - alpha / 2)))
    outside = not lower <= auroc <= upper
    figures = {
        "auroc": auroc,
        "null": [lower, upper],
        "outside": outside,
        "shifts": len(null),
        "probe": probe.to_json() if probe else None,
    }
    interval = f"{lower:.3f} to {upper:.3f}"
    if not lower - _BENT <= 0.5 <= upper + _BENT:
        detail = (
            f"With its concept's labels shifted, AUROC lies between {interval} and not around .5: "
            "the labels come in too few, too long runs for an AUROC to mean anything."
        )
        return FeatureOutcome(False, detail, figures)
    if probe and probe.leaks:
        detail = (
            f"Probes fitted to shifted labels reach AUROC {probe.auroc:.3f} on documents they have "
            f"not seen (null interval {probe.lower:.3f} to {probe.upper:.3f}): documents share "
            "content across units of inference; put them into one group."
        )
        return FeatureOutcome(False, detail, figures)
    place = "outside" if outside else "inside"
    detail = f"AUROC {auroc:.3f} lies {place} the null interval {interval} of shifted labels."
    return FeatureOutcome(True, detail, figures)


def _outcome(
    outcomes: dict[str, FeatureOutcome],
    probes: Mapping[tuple[str, tuple[str, ...]], ProbeCheck | None],
) -> ControlOutcome:
    judged = [o for o in outcomes.values() if o.passed is not None]
    failed = [name for name, o in outcomes.items() if o.passed is False]
    inside = [name for name, o in outcomes.items() if o.passed and not o.figures["outside"]]
    figures = {
        "judged": len(judged),
        "failed": len(failed),
        "inside_null": len(inside),
        "probes": [
            {"concept": concept, "sites": list(sites), **check.to_json()}
            for (concept, sites), check in probes.items()
            if check
        ],
    }
    if not judged:
        detail = "No feature has a concept with enough labelled documents."
        return ControlOutcome(NAME, None, detail, figures, outcomes)
    detail = f"{len(judged) - len(failed)} of {len(judged)} labelled features pass"
    if failed:
        detail += f"; first to fail: {failed[0]}"
    return ControlOutcome(NAME, overall(outcomes), f"{detail}.", figures, outcomes)
