"""Why did a feature drift: hypotheses in order, the first that held-out documents support."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from app.registry.definitions import Composite, Feature, Neuron, SaeLatent
from workers.diagnosis import wording
from workers.diagnosis.classify import Classifier
from workers.diagnosis.groups import base_parts, site_of
from workers.diagnosis.question import Diagnosis, DiagnosisQuestion, Label
from workers.diagnosis.recovery import Recoveries
from workers.diagnosis.repairs import Proposal, mapped_repair, own_scale_repair, propose
from workers.diagnosis.search import Match, find_matches
from workers.diagnosis.trials import Trial, Trials
from workers.errors import EvaluationError


def diagnose(question: DiagnosisQuestion) -> dict[str, Diagnosis]:
    """Diagnose drifted features from raw activations of both checkpoints. Labels take no part.

    In order: `rescaled` (one factor at the site, or on the feature's own value); `relocated` to
    another latent or neuron that is equivalent; `rotated` (orthogonal Procrustes, then a ridge
    map); `relocated` to another read-out, `dictionary_stale`, or `lost`; else `unexplained`. Every
    document is judged by what was fitted on the other half of the documents (or groups of them).
    A ridge fit counts only where it beats the same fit on the randomised model and a lookup of the
    token: much can be read from the tokens alone.

    Returns:
        A diagnosis of each drifted feature, in the order asked.

    Raises:
        EvaluationError: a drifted feature is not in the set, or its dictionary is missing.
        ValueError: there is not one token key for each token of the sample.
    """
    _check(question)
    # Spectra of a site's width are no faster on two cores, and on a busy machine OpenBLAS's threads
    # wait for each other ten times as long; the large products are torch's.
    with threadpool_limits(1, "blas"):
        return _Ladder(question).run()


def _check(question: DiagnosisQuestion) -> None:
    for name in question.drifted:
        if name not in question.features:
            raise EvaluationError(
                "feature_missing", f"drifted feature {name!r} is not in the feature set"
            )
        for part in base_parts(name, question.features):
            feature = question.features[part]
            if isinstance(feature, SaeLatent) and feature.dictionary not in question.dictionaries:
                raise EvaluationError(
                    "dictionary_missing",
                    f"feature {part!r} names dictionary {feature.dictionary!r}, which is missing",
                )


@dataclass
class _Ladder:
    question: DiagnosisQuestion
    trials: Trials = field(init=False)
    done: dict[str, Diagnosis] = field(default_factory=dict)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    unchanged: set[str] = field(default_factory=set)
    """Features that are equivalent as they are on the sample."""
    few: set[str] = field(default_factory=set)
    """Features active in too few documents."""
    like: dict[str, str] = field(default_factory=dict)
    """What estimates of features with few documents are consistent with."""
    matches: dict[str, tuple[Match, Match]] = field(default_factory=dict)
    moved: Trial | None = None
    turned: Trial | None = None
    """Behind a rotation."""

    def __post_init__(self) -> None:
        self.trials = Trials(self.question)

    def run(self) -> dict[str, Diagnosis]:
        features = self.question.features
        wanted = [p for name in self.question.drifted for p in (name, *base_parts(name, features))]
        targets = list(dict.fromkeys(wanted))
        self.figures = {name: {} for name in targets}
        for name in targets:
            reason = self.trials.unreadable(name)
            if reason is None and not len(self.question.sample.cluster):
                reason = "the activation sample holds no token"
            if reason is not None:
                self._settle(name, "unexplained", f"Not diagnosed: {reason}.")
        if self._open(targets):
            as_is = self._as_is(self._open(targets))
            self._scaled(self._open(targets))
            self._own_scaled(as_is, self._open(targets))
            self._moved(self._open(targets))
            self._rotated(self._open(targets))
            self._few(as_is)
            self._classify(self._open(targets))
            self._composites(self._open(targets))
        return {name: self.done[name] for name in self.question.drifted}

    def _open(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name not in self.done]

    def _settle(
        self, name: str, label: Label, reason: str, proposal: Proposal = (None, None)
    ) -> None:
        repair, refusal = proposal
        figures = self.figures[name]
        if refusal is not None:
            figures["no_repair"] = refusal
        self.done[name] = Diagnosis(name, label, reason, figures, repair)

    def _note(self, trial: Trial, step: str, names: Sequence[str], like: str | None) -> None:
        for name in names:
            figure = trial.figure(name)
            if figure is not None:
                self.figures[name][step] = figure
            if like is not None and trial.consistent(name):
                self.like.setdefault(name, like)

    def _as_is(self, names: list[str]) -> Trial:
        trial = self.trials.as_is(names)
        self._note(trial, "as_is", names, None)
        for name in names:
            self.figures[name]["documents"] = trial.documents(name)
            if trial.documents(name) < self.question.policy.min_active_documents:
                self.few.add(name)
            elif trial.equivalent(name):
                self.unchanged.add(name)
                self._settle(
                    name,
                    "unexplained",
                    "On the tokens whose activations are kept it is equivalent to the baseline as "
                    f"it is, though it drifted on the whole corpus: "
                    f"{wording.evidence(trial, name)}.",
                )
            elif trial.only_other_alarms(name):
                self._settle(name, "unexplained", wording.only_other_alarms(trial, name))
        return trial

    def _scaled(self, names: list[str]) -> None:
        if not names:
            return
        trial = self.trials.mapped(names, "scale")
        self._note(trial, "site_scaled", names, "rescaled")
        for name in names:
            sites = self._sites(name)
            factors = {s: [self.trials.maps(s).factor(h) for h in (0, 1, None)] for s in sites}
            self.figures[name]["site_scale"] = {s: found[2] for s, found in factors.items()}
            large = any(self._is_scale(found) for found in factors.values())
            if not large:
                self.like.pop(name, None)
            elif self._restores(trial, name):
                held_out = wording.evidence(trial, name)
                site = max(factors, key=lambda s: abs(np.log(max(factors[s][2], 1e-300))))
                self._settle(
                    name,
                    "rescaled",
                    wording.rescaled_site(site, factors[site][2], held_out),
                    self._mapped_repair(name, "scale", trial),
                )

    def _is_scale(self, factors: Sequence[float]) -> bool:
        least = self.question.thresholds.least_scale
        return all(f > 0 and abs(np.log(f)) > least for f in factors)

    def _own_scaled(self, as_is: Trial, names: list[str]) -> None:
        if not names:
            return
        trial, factors = self.trials.own_scale(as_is, names)
        if not trial.parts:
            return
        large = [n for n in names if n in factors and self._is_scale(factors[n].tolist())]
        self._note(trial, "own_scaled", large, "rescaled")
        for name in large:
            factor = float(factors[name][2])
            self.figures[name]["own_scale"] = factor
            if self._restores(trial, name):
                evidence = {"own_scale": factor, "held_out": trial.figure(name)}
                self._settle(
                    name,
                    "rescaled",
                    wording.rescaled_value(factor, wording.evidence(trial, name)),
                    own_scale_repair(self.trials, self._feature(name), factor, evidence),
                )

    def _moved(self, names: list[str]) -> None:
        """A permuted basis is also a rotated one; another index explains it with less."""
        names = [n for n in names if n not in self.few]
        self.matches = find_matches(self.trials, names)
        chosen = []
        for name, (first, second) in self.matches.items():
            self.figures[name]["best_match"] = [vars(first), vars(second)]
            old = _index(self._feature(name))
            apart = all(m.correlation > m.noise for m in (first, second))
            if first.index == second.index != old and apart:
                chosen.append(name)
        if not chosen:
            return
        new = {n: self._at(n, self.matches[n][0].index) for n in chosen}
        self.moved = trial = self.trials.replaced(chosen, (new, new))
        self._note(trial, "moved", chosen, None)
        for name in chosen:
            if self._restores(trial, name):
                feature = self._feature(name)
                what = "latent" if isinstance(feature, SaeLatent) else "neuron"
                reason = wording.moved(
                    what, _index(feature), _index(new[name]), wording.evidence(trial, name)
                )
                evidence = {"index": _index(new[name]), "held_out": trial.figure(name)}
                self._settle(name, "relocated", reason, (propose(new[name], evidence), None))

    def _at(self, name: str, index: int) -> Feature:
        return self._feature(name).model_copy(update={"index": index})

    def _rotated(self, names: list[str]) -> None:
        if not names:
            return
        self.turned = trial = self.trials.mapped(names, "procrustes")
        self._note(trial, "rotated", names, "rotated")
        for name in names:
            if self._restores(trial, name):
                self._settle_rotated(name, "procrustes", trial)

    def _restores(self, trial: Trial, name: str) -> bool:
        return trial.restores(name, self.question.thresholds.carried)

    def _settle_rotated(self, name: str, kind: str, trial: Trial, more: str = "") -> None:
        sites = " and ".join(self._sites(name))
        reason = f"{wording.rotated(sites, kind, wording.evidence(trial, name))} {more}".strip()
        self._settle(name, "rotated", reason, self._mapped_repair(name, kind, trial))

    def _few(self, as_is: Trial) -> None:
        needed = self.question.policy.min_active_documents
        for name in self._open(sorted(self.few)):
            reason = wording.few(as_is.documents(name), needed, self.like.get(name))
            self._settle(name, "unexplained", reason)

    def _classify(self, names: list[str]) -> None:
        bases = [n for n in names if not isinstance(self._feature(n), Composite)]
        if not bases:
            return
        ridge = self.trials.mapped(bases, "ridge")
        self._note(ridge, "mapped", bases, None)
        mapped = [ridge] if self.turned is None else [ridge, self.turned]
        recoveries = Recoveries(self.trials, mapped)
        classifier = Classifier(self.trials, ridge, self.moved, self.matches, recoveries)
        for recovery in recoveries.run(bases):
            for name in recovery.group.names:
                self.figures[name]["refitted"] = recovery.figure(name)
                found = classifier.classify(name, recovery)
                self.figures[name].update(found.figures)
                if found.rotated:
                    self._settle_rotated(name, "ridge", ridge, found.reason)
                else:
                    self._settle(name, found.label, found.reason, found.proposal)

    def _composites(self, names: list[str]) -> None:
        if not names:
            return
        trial = self.trials.mapped(names, "ridge")
        self._note(trial, "mapped", names, None)
        for name in names:
            parts = base_parts(name, self.question.features)
            labels = {
                part: "unchanged" if part in self.unchanged else self.done[part].label
                for part in parts
            }
            self.figures[name]["components"] = labels
            if self._restores(trial, name) and not set(labels.values()) & {"lost", "unexplained"}:
                self._settle_rotated(name, "ridge", trial)
            elif set(labels.values()) == {"lost"}:
                self._settle(name, "lost", f"All its {len(parts)} components are lost.")
            else:
                told = ", ".join(f"{part} {label}" for part, label in labels.items())
                self._settle(
                    name,
                    "unexplained",
                    "It is not equivalent again after realignment of its sites; its components "
                    f"are: {told[:500]}.",
                )

    def _mapped_repair(self, name: str, kind: str, trial: Trial) -> Proposal:
        maps: dict[str, Any] = {"kind": kind, "sites": self._sites(name)}
        if kind == "scale":
            maps["factor"] = self.figures[name]["site_scale"]
        evidence = {"map": maps, "held_out": trial.figure(name)}
        return mapped_repair(self.trials, self._feature(name), kind, evidence)

    def _feature(self, name: str) -> Feature:
        return self.question.features[name]

    def _sites(self, name: str) -> list[str]:
        features: Mapping[str, Feature] = self.question.features
        parts = base_parts(name, features)
        return sorted({site_of(features[p], self.question.dictionaries) for p in parts})


def _index(feature: Feature) -> int:
    if not isinstance(feature, SaeLatent | Neuron):
        raise TypeError(f"{feature.name!r} is a {feature.kind} and has no index")
    return feature.index
