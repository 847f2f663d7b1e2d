"""What a diagnosis is asked, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.registry.definitions import Feature
from workers.comparison.sites import SiteSample
from workers.drift.policy import Policy
from workers.features.dictionaries import DictionarySource

Label = Literal["rescaled", "rotated", "relocated", "lost", "dictionary_stale", "unexplained"]


@dataclass(frozen=True)
class DictionaryHealth:
    """How well a dictionary described its site when a snapshot was captured."""

    fvu: float | None
    """Fraction of variance unexplained; None where it is undefined."""
    l0: float | None
    """Latents on at a token."""


@dataclass(frozen=True)
class Thresholds:
    """What counts as carried, as lost, and as a change of a whole dictionary."""

    carried: float = 0.5
    """Held-out correlation with the baseline's values: its interval must lie above for a read-out
    that carries the feature, and below for a feature that is lost."""
    repairable: float = 0.7
    """A read-out whose interval does not lie above carries the feature, but is not proposed."""
    beyond_random: float = 0.05
    """By how much it must exceed the better of the same refit on the randomised model and a lookup
    of the token, or by half of what that one leaves to explain where this is less."""
    least_scale: float = 0.02
    """|log s| of a scale that counts as one."""
    fvu_ratio: float = 1.5
    fvu_difference: float = 0.05
    """A dictionary has left its gate where its FVU exceeds the baseline's by both."""
    l0_ratio: float = 1.5


@dataclass(frozen=True)
class DiagnosisQuestion:
    """Which features drifted, and everything that may tell why. No labels: they take no part.

    Memory: one site's activations of all sides at a time, 12 bytes × tokens × width with a
    randomised model (9.2 GB for 1 M tokens of width 768; pages that the system can drop where they
    are mapped from a file); per site up to 25 matrices of width² float64; at most 512 MiB of
    baseline values; blocks of 16,384 tokens; 8 bytes for each distinct token and feature; and for
    every cluster and feature 68 bytes a step. A composite over several sites holds all of these at
    once.
    """

    features: Mapping[str, Feature]
    """The frozen set, by name: drifted features and what composites are made of."""
    drifted: Sequence[str]
    sample: SiteSample
    dictionaries: Mapping[str, DictionarySource] = field(default_factory=dict)
    randomised: SiteSample | None = None
    """The fully randomised model on the same corpus, as its side `a`; without it no read-out can
    be told from one that reads the tokens alone."""
    token_keys: NDArray[np.integer] | None = None
    """[n] an integer for each of the sample's tokens, the same for the same token. How much of a
    randomised model's activations is the token depends on its initialisation; a lookup does not."""
    policy: Policy = field(default_factory=Policy)
    health_baseline: Mapping[str, DictionaryHealth] = field(default_factory=dict)
    """By dictionary; measured on the sample where it is missing."""
    health_candidate: Mapping[str, DictionaryHealth] = field(default_factory=dict)
    folder: Path | None = None
    """Where realigned dictionaries are written; without it none is proposed."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    seed: int = 0
    """Of the split into halves."""


@dataclass(frozen=True)
class ProposedFeature:
    """A definition that may take the place of a drifted one; never applied by itself."""

    name: str
    definition: dict[str, Any]
    """As `app.registry.definitions` reads it."""
    dictionary: dict[str, Any] | None
    """The dictionary that must be registered first: its name, site and source folder."""
    evidence: dict[str, Any]
    """Verdict and estimates on held-out documents, and what the definition was fitted on."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "name": self.name,
            "definition": self.definition,
            "dictionary": self.dictionary,
            "evidence": self.evidence,
        }


@dataclass(frozen=True)
class Diagnosis:
    """Why a feature drifted."""

    feature: str
    label: Label
    reason: str
    """One sentence with figures, for a person."""
    figures: dict[str, Any]
    """Every step that was tried, as plain JSON values."""
    repair: ProposedFeature | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "label": self.label,
            "reason": self.reason,
            "figures": self.figures,
            "repair": None if self.repair is None else self.repair.to_json(),
        }
