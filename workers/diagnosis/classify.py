"""Features that no scale, index or rotation explains: still readable at the site, or lost."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from app.registry.definitions import Composite, Feature, Neuron, SaeLatent
from workers.diagnosis import wording
from workers.diagnosis.correlation import Correlation, correlation, difference
from workers.diagnosis.groups import site_of
from workers.diagnosis.health import Gate, dictionary_gate
from workers.diagnosis.question import Label
from workers.diagnosis.recovery import RANDOMISED, TOKENS, Recoveries, Recovery
from workers.diagnosis.repairs import Proposal, probe, propose
from workers.diagnosis.search import Match
from workers.diagnosis.trials import Trial, Trials


@dataclass(frozen=True)
class Finding:
    """What was found of one feature."""

    label: Label
    reason: str
    proposal: Proposal = (None, None)
    figures: dict[str, Any] = field(default_factory=dict)
    rotated: bool = False
    """Equivalent behind a ridge map that beats the tokens alone; `reason` adds to that."""


class Classifier:
    """Tells readable from lost; each dictionary's gate is judged once."""

    def __init__(
        self,
        trials: Trials,
        ridge: Trial,
        moved: Trial | None,
        matches: Mapping[str, tuple[Match, Match]],
        recoveries: Recoveries,
    ) -> None:
        """Keep the trials that were made before."""
        self._trials, self._ridge, self._moved = trials, ridge, moved
        self._matches, self._recoveries = matches, recoveries
        self._gates: dict[str, Gate] = {}

    def classify(self, name: str, recovery: Recovery) -> Finding:
        """The last rungs: rotated by a ridge map, relocated, stale, lost or unexplained."""
        at = recovery.group.names.index(name)
        r, null = recovery.candidate_r, recovery.null
        feature = self._trials.question.features[name]
        if self._ridge.restores(name, self._trials.question.thresholds.carried):
            beats = self._beats(self._ridge, name, recovery)
            if beats:
                return Finding("rotated", "", rotated=True)
            if beats is False:
                found = self._by_its_site(name, recovery)
                if found is not None:
                    return found
            else:
                return Finding(
                    "unexplained",
                    "It is equivalent behind a linear (ridge) map of its site, but without "
                    "activations of a randomised model that cannot be told from reading the "
                    f"tokens alone: {wording.evidence(self._ridge, name)}.",
                )
        match = self._match(name, recovery, self._trials.question.thresholds.repairable)
        if match is not None:
            return match
        if not np.isfinite(r.point[at]) and recovery.best.sum_aa[:, at].any():
            return self._unreadable(name, recovery, at)
        beats = None if null is None else self._surely_beyond(null.beyond, null.r, at, recovery)
        if r.lower[at] >= self._trials.question.thresholds.carried and beats:
            return self._carried(feature, recovery, at)
        match = self._match(name, recovery, self._trials.question.thresholds.carried)
        return match or self._not_carried(name, recovery, at, beats)

    def _by_its_site(self, name: str, recovery: Recovery) -> Finding | None:
        """Equivalent behind a map that is itself more than a reading of tokens."""
        site = self._site(self._trials.question.features[name])
        whole = self._recoveries.site_map(site, recovery.group.step)
        null = whole.null
        if null is None or not self._surely_beyond(null.beyond, null.r, 0, recovery):
            return None
        at = recovery.group.names.index(name)
        told = wording.of_the_site(
            recovery, at, wording.interval(whole.r, 0), wording.interval(null.r, 0)
        )
        return Finding("rotated", told, figures={"site_map": whole.figure()}, rotated=True)

    def _carried(self, feature: Feature, recovery: Recovery, at: int) -> Finding:
        told = wording.interval(recovery.candidate_r, at)
        figures: dict[str, Any] = {}
        if isinstance(feature, SaeLatent):
            gate = self._gate(feature.dictionary)
            figures["dictionary"] = gate.figures
            if gate.stale:
                return Finding(
                    "dictionary_stale",
                    wording.stale(feature.dictionary, gate.reason, told),
                    (None, "a stale dictionary is trained again, not realigned"),
                    figures,
                )
        site = self._site(feature)
        reason = wording.carried(
            f"a refitted read-out of {site}", told, wording.beside(recovery, at)
        )
        return Finding("relocated", reason, self._probe(feature, recovery, at), figures)

    def _probe(self, feature: Feature, recovery: Recovery, at: int) -> Proposal:
        least = self._trials.question.thresholds.repairable
        if recovery.direct_r.lower[at] < least:
            return None, (
                f"the refitted read-out's correlation is not surely above {least:g}; it carries "
                "the feature, but too loosely to take its place"
            )
        # A latent is on above 0; a probe in its place where it is on as often.
        sparse = isinstance(feature, SaeLatent)
        threshold = float(recovery.thresholds[at]) if sparse else feature.threshold
        new = probe(
            feature,
            self._site(feature),
            recovery.weights[:, at],
            float(recovery.intercepts[at]),
            threshold,
        )
        as_dense = replace(recovery.group, sparse=False)
        counted = frozenset() if sparse else frozenset({feature.name})
        held_out = Trial(((as_dense, recovery.direct),), self._trials.question.policy, counted)
        if not sparse and held_out.other_alarms(feature.name):
            return None, (
                "the refitted read-out surely exceeds the feature's threshold more or less often "
                "than the baseline does"
            )
        evidence = {
            "correlation": recovery.figure(feature.name),
            "held_out": held_out.figure(feature.name),
        }
        return propose(new, evidence), None

    def _match(self, name: str, recovery: Recovery, least: float) -> Finding | None:
        """Another latent or neuron whose held-out correlation is surely above `least`."""
        if self._moved is None or name not in self._moved.names():
            return None
        feature = self._trials.question.features[name]
        if not isinstance(feature, SaeLatent | Neuron) or not self._beats(
            self._moved, name, recovery
        ):
            return None
        r, at = self._moved.correlation(name)
        if not r.lower[at] >= least:
            return None
        index = self._matches[name][0].index
        what = "latent" if isinstance(feature, SaeLatent) else "neuron"
        beside = wording.beside(recovery, recovery.group.names.index(name))
        reason = wording.carried(f"{what} {index}", wording.interval(r, at), beside)
        repairable = self._trials.question.thresholds.repairable
        proposal: Proposal = (None, f"its correlation is not surely above {repairable:g}")
        if r.lower[at] >= repairable:
            evidence = {
                "index": index,
                "correlation": r.figure(at),
                "held_out": self._moved.figure(name),
            }
            proposal = propose(feature.model_copy(update={"index": index}), evidence), None
        return Finding("relocated", reason, proposal, {"match_correlation": r.figure(at)})

    def _unreadable(self, name: str, recovery: Recovery, at: int) -> Finding:
        """Every read-out is constant: the site says nothing at all."""
        site = self._site(self._trials.question.features[name])
        if recovery.firing[at] == 0 and recovery.group.sparse:
            return Finding("unexplained", "It is silent in the baseline: nothing to look for.")
        return Finding(
            "lost", f"No read-out at {site} recovers it: the best refitted one is constant."
        )

    def _not_carried(self, name: str, recovery: Recovery, at: int, beats: bool | None) -> Finding:
        r, null = recovery.candidate_r, recovery.null
        limits = self._trials.question.thresholds
        site = self._site(self._trials.question.features[name])
        beside = wording.beside(recovery, at)
        told = wording.interval(r, at)
        if not np.isfinite(r.point[at]):
            return Finding("unexplained", "It is silent in the baseline: nothing to look for.")
        no_better = null is not None and bool(
            null.beyond.upper[at] < beyond_margin(null.r, at, limits.beyond_random)
        )
        if r.upper[at] < limits.carried:
            return Finding("lost", wording.lost(site, told, beside))
        if no_better and self._as_good_as_tokens(recovery, at):
            return Finding("unexplained", wording.only_tokens(site, told, beside))
        if no_better:
            return Finding("lost", wording.no_more(site, told, beside))
        if r.lower[at] >= limits.carried and beats is None:
            return Finding(
                "unexplained",
                f"A refitted read-out of {site} correlates {told} with the baseline's values, but "
                "without activations of a randomised model that cannot be told from reading the "
                "tokens alone.",
            )
        why = (
            f"neither surely above nor surely below {limits.carried:g}"
            if r.lower[at] < limits.carried
            else f"not surely beyond {beside}, nor surely no better"
        )
        return Finding(
            "unexplained",
            f"A refitted read-out of {site} correlates {told} with the baseline's values on "
            f"held-out documents, {why}.",
        )

    def _as_good_as_tokens(self, recovery: Recovery, at: int) -> bool:
        """Read surely, as well as the token alone tells, and better than fresh weights would.

        What was little more than the token is then still there to be read. Fresh weights read the
        token too, but fall short of a lookup, or read it as well as the randomised model does.
        """
        r, null = recovery.candidate_r, recovery.null
        limits = self._trials.question.thresholds
        if null is None or null.names[at] != TOKENS or RANDOMISED not in recovery.nulls:
            return False
        here = slice(at, at + 1)
        alpha = self._trials.question.policy.alpha
        random = recovery.nulls[RANDOMISED].select(here)
        beyond = difference(recovery.best.select(here), random, alpha)
        return bool(
            r.lower[at] >= limits.repairable
            and null.beyond.lower[at] > -beyond_margin(null.r, at, limits.beyond_random)
            and self._surely_beyond(beyond, correlation(random, alpha), 0, recovery)
        )

    def _beats(self, trial: Trial, name: str, recovery: Recovery) -> bool | None:
        """Whether a trial's held-out values beat the better null."""
        at, null = recovery.group.names.index(name), recovery.null
        chosen = trial.columns([name])
        if chosen is None or null is None:
            return None
        other = recovery.nulls[null.names[at]].select(slice(at, at + 1))
        alpha = self._trials.question.policy.alpha
        beyond = difference(chosen, other, alpha)
        return self._surely_beyond(beyond, correlation(other, alpha), 0, recovery)

    def _surely_beyond(
        self, beyond: Correlation, null: Correlation, at: int, recovery: Recovery
    ) -> bool | None:
        # A lookup of the token is no measure of what fresh weights tell of the tokens before.
        if RANDOMISED not in recovery.nulls:
            return None
        if not np.isfinite(null.point[at]):
            # What is constant carries nothing to beat.
            return True
        least = self._trials.question.thresholds.beyond_random
        return bool(beyond.lower[at] > beyond_margin(null, at, least))

    def _gate(self, dictionary: str) -> Gate:
        if dictionary not in self._gates:
            source = self._trials.question.dictionaries[dictionary]
            self._gates[dictionary] = dictionary_gate(self._trials, source)
        return self._gates[dictionary]

    def _site(self, feature: Feature) -> str:
        if isinstance(feature, Composite):
            raise TypeError(f"composite {feature.name!r} has no site of its own")
        return site_of(feature, self._trials.question.dictionaries)


def beyond_margin(null: Correlation, at: int, least: float) -> float:
    """By how much a null must be beaten: less where it leaves little to explain."""
    return float(min(least, (1 - null.point[at]) / 2))
