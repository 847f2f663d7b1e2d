"""From the material to proposals, as plain JSON values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.baselines.aurocs import Auroc, Difference, auroc, counts, difference
from workers.baselines.folds import too_few
from workers.suggest.beside import READOUTS, RandomDirections, fitted_scores
from workers.suggest.choosing import Candidate, Decoder, choose
from workers.suggest.effects import firing
from workers.suggest.material import Material
from workers.suggest.ranking import Ranks
from workers.suggest.rule import Evidence, reasons_against, remarks
from workers.suggest.split import A, B, halves

HALVES = ("A", "B")

OnConcept = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """What may be chosen.

    Raises:
        ValueError: naming what is out of range.
    """

    per_concept: int = 3
    """Candidates of each concept that are scored."""
    alpha: float = 0.05
    """For all candidates together."""
    shifts: int = 200
    """Sets of labels without meaning."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.per_concept <= 20:
            raise ValueError(f"per_concept is {self.per_concept}; give 1 to 20")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha is {self.alpha}; give more than 0 and less than 0.5")
        if self.shifts < 100:
            raise ValueError(f"{self.shifts} shifts tell no 95th percentile; give at least 100")


def suggest(
    material: Material,
    concepts: Sequence[str],
    options: Options,
    decoder: Decoder = lambda _: None,
    on_concept: OnConcept = lambda _done, _total: None,
) -> dict[str, Any]:
    """Propose latents for each concept.

    Candidates are chosen on half A. The number of all candidates is known before half B is looked
    at, and all intervals on half B hold together with confidence 1 − alpha (Bonferroni).

    Args:
        concepts: of the material's labels.
        decoder: gives the decoder's rows, for pointing out latents that say the same.
        on_concept: told (concepts done, of so many).

    Returns:
        `concepts`, in their order, and `method`: what was done, with all numbers that decide.
    """
    side = halves(
        material.cluster, {name: material.labels[name] for name in concepts}, options.seed
    )
    a, b = (material.take(np.flatnonzero(side == k)) for k in (A, B))
    faults = {name: fault for name in concepts if (fault := _untold(a, b, name))}
    told = [name for name in concepts if name not in faults]
    ranks_a = Ranks(a.latents)
    chosen = {
        name: choose(a, ranks_a, name, options.per_concept, options.alpha, decoder) for name in told
    }
    scored = sum(map(len, chosen.values()))
    judge = _Judge(material, side, a, b, ranks_a, options, options.alpha / max(scored, 1))
    found = []
    for done, name in enumerate(concepts):
        if name in faults:
            found.append({**_counted(material, name), "told": False, "reason": faults[name]})
        else:
            found.append({**_counted(material, name), **judge.concept(name, chosen[name])})
        on_concept(done + 1, len(concepts))
    return {
        "concepts": _point_out_shared(found),
        "method": {
            "tokens": len(material),
            "units": len(np.unique(material.cluster)),
            "units_chosen_on": len(np.unique(a.cluster)),
            "units_scored_on": len(np.unique(b.cluster)),
            "latents": material.latents.shape[1],
            "latents_on": int(np.count_nonzero(np.bincount(material.latents.indices))),
            "candidates": scored,
            "confidence_together": 1 - options.alpha,
            "confidence_each": 1 - judge.alpha,
            "shifts": options.shifts,
            "seed": options.seed,
        },
    }


def _untold(a: Material, b: Material, concept: str) -> str | None:
    for name, half in zip(HALVES, (a, b), strict=True):
        if fault := too_few(half.cluster, half.labels[concept]):
            return f"Half {name}: {fault}"
    return None


def _counted(material: Material, concept: str) -> dict[str, Any]:
    flags = material.labels[concept]
    units, with_concept, _ = counts(flags, material.cluster)
    return {
        "concept": concept,
        "units": units,
        "units_with_concept": with_concept,
        "tokens_with_concept": int(np.count_nonzero(flags)),
    }


class _Judge:
    """Half B, and what is made of it once for all candidates."""

    def __init__(
        self,
        material: Material,
        side: NDArray[np.intp],
        a: Material,
        b: Material,
        ranks_a: Ranks,
        options: Options,
        alpha: float,
    ) -> None:
        self._material, self._side, self._a, self._b = material, side, a, b
        self._ranks_a, self._ranks_b = ranks_a, Ranks(b.latents)
        self._options, self.alpha = options, alpha
        self._random = RandomDirections.draw(b.site, options.seed)
        self._whole = np.zeros(len(b), np.intp)

    def concept(self, name: str, candidates: Sequence[Candidate]) -> dict[str, Any]:
        """The proposals for a concept, and what they are held against."""
        positive = self._b.labels[name]
        simple = fitted_scores(self._material, self._side, name, self._options.seed)
        rng = np.random.default_rng(self._options.seed)
        null_a = self._ranks_a.best_by_chance(self._a.labels[name], self._options.shifts, rng)
        null_b = self._ranks_b.best_by_chance(positive, self._options.shifts, rng)
        return {
            "told": True,
            "reason": None if candidates else "No latent is better than chance on half A.",
            "baselines": {
                readout: _interval(self._auroc(simple[readout], positive)) for readout in READOUTS
            },
            "best_by_chance": {
                half: {"median": _at(null, 0.5), "p95": _at(null, 0.95)}
                for half, null in zip(HALVES, (null_a, null_b), strict=True)
            },
            "proposals": [self._propose(name, one, simple, null_b) for one in candidates],
        }

    def _propose(
        self,
        concept: str,
        candidate: Candidate,
        simple: Mapping[str, NDArray[np.float64]],
        null_best: NDArray[np.float64],
    ) -> dict[str, Any]:
        b, positive = self._b, self._b.labels[concept]
        values = b.dense(candidate.latent)
        evidence = Evidence(
            own=self._auroc(values, positive),
            against={
                readout: difference(scores, values, positive, b.cluster, self._whole, self.alpha)
                for readout, scores in simple.items()
            },
            null_best=_at(null_best, 0.95),
            random_limit=self._random.limit(positive, values),
            latents=self._ranks_b.latents,
        )
        against = reasons_against(evidence)
        as_good = int(np.count_nonzero(null_best >= evidence.own.value))
        return {
            "latent": candidate.latent,
            "recommended": not against,
            "reasons": against,
            "remarks": [] if against else remarks(evidence),
            "auroc": _interval(evidence.own),
            "chosen_on_auroc": candidate.chosen_on.value,
            "null_best_p": (1 + as_good) / (1 + len(null_best)),
            "random_directions_p95": evidence.random_limit,
            "firing": _finite(asdict(firing(values, positive, b.cluster, self.alpha))),
            "ahead_of": {readout: _ahead(d) for readout, d in evidence.against.items()},
            "twins": [asdict(twin) for twin in candidate.twins],
        }

    def _auroc(self, scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> Auroc:
        return auroc(scores, positive, self._b.cluster, self._whole, self.alpha)


def _point_out_shared(concepts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say of a latent that is proposed for several concepts that it is."""
    of: dict[int, list[str]] = {}
    for one in concepts:
        for proposal in one.get("proposals", ()):
            of.setdefault(proposal["latent"], []).append(one["concept"])
    for one in concepts:
        for proposal in one.get("proposals", ()):
            proposal["also_for"] = [c for c in of[proposal["latent"]] if c != one["concept"]]
    return concepts


def _interval(found: Auroc) -> dict[str, Any]:
    return _finite(asdict(found))


def _ahead(found: Difference) -> dict[str, float]:
    return {"value": found.value, "lower": found.lower, "upper": found.upper}


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Plain JSON knows neither NaN nor infinity."""
    return {
        name: value if not isinstance(value, float) or isfinite(value) else None
        for name, value in values.items()
    }


def _at(null: NDArray[np.float64], share: float) -> float:
    return float(np.quantile(null, share, method="higher"))
