"""The randomised-model control: the features, frozen, on fresh weights of the same architecture.

Adebayo et al. (2018), "Sanity Checks for Saliency Maps". With everything randomised a feature must
be found to drift and must no longer read its concept; a feature that survives cannot fail. With all
blocks randomised but the embeddings kept, a feature that survives reads tokens rather than what the
model computes from them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from workers.controls.outcome import ControlOutcome, FeatureOutcome, count, overall
from workers.controls.readouts import Chance
from workers.drift.policy import IDENTITY
from workers.drift.verdicts import VerdictTable

NAME = "randomised_model"

SCOPES = ("top", "blocks", "all")

MAX_Z = 3.0
"""A read-out this many standard deviations above random ones reads its concept."""
KEPT_SHARE = 0.5
"""Of the baseline's AUROC above ½; what keeps at least this share has survived."""


def judge(
    tables: Mapping[str, VerdictTable], chance: Mapping[str, Chance | str] | None = None
) -> ControlOutcome:
    """What survives fresh weights.

    A feature fails where, with everything randomised, it is not found `drifted`, or its identity is
    shown to hold, or it still reads its concept. Chance is not an AUROC of ½ there: a random
    read-out of few distinct tokens may lie far from it, so that the feature is held against the
    AUROC of random directions on the same randomised model. It fails where it lies more than
    `MAX_Z` of their standard deviations above their mean and above each of them (their
    distribution has long tails for rare latents), and keeps `KEPT_SHARE` of its own baseline's
    excess over ½. Too few active documents: not told.

    Args:
        tables: by scope (``top``, ``blocks``, ``all``), the baseline against the randomised model;
            of concepts, `auroc_a` and the estimand `concept` are used. A scope may be absent.
        chance: of the model with everything randomised, from `measure_chance`.

    Returns:
        Figures of each feature: ``token_level`` (true, false or null), and by scope the verdict,
        identity, AUROC and whether nothing below the feature's sites was randomised.
    """
    table = tables.get("all")
    if table is None:
        return ControlOutcome(NAME, None, "No model with everything randomised was captured.")
    places = {
        scope: {name: i for i, name in enumerate(found.names)} for scope, found in tables.items()
    }
    features: dict[str, FeatureOutcome] = {}
    for i, name in enumerate(table.names):
        rows = {s: (tables[s], places[s][name]) for s in SCOPES if name in places.get(s, {})}
        figures: dict[str, Any] = {
            "scopes": {scope: _row(*row) for scope, row in rows.items()},
            "token_level": _token_level(*rows["blocks"]) if "blocks" in rows else None,
        }
        passed, detail = _judge(table, i, (chance or {}).get(name), figures)
        sentences = (
            detail,
            _concept_sentence(figures.get("concept"), passed),
            _token_sentence(figures["token_level"]),
            _top_sentence(figures),
        )
        features[name] = FeatureOutcome(passed, " ".join(s for s in sentences if s), figures)
    judged = sum(found.passed is not None for found in features.values())
    failed = sum(found.passed is False for found in features.values())
    tokens = sum(found.figures["token_level"] is True for found in features.values())
    return ControlOutcome(
        NAME,
        overall(features),
        f"With every weight randomised, {judged - failed} of {count(judged, 'feature')} were found "
        f"to drift, as they must; {failed} were not. {tokens} of {count(len(features), 'feature')} "
        "survive with only their embeddings left, and read tokens.",
        {
            "judged": judged,
            "failed": failed,
            "token_level": tokens,
            "drifted": {
                s: int(np.count_nonzero(t.verdict == "drifted")) for s, t in tables.items()
            },
        },
        features,
    )


def token_level(outcome: ControlOutcome) -> dict[str, bool | None]:
    """By feature: whether it survives with only its embeddings left; None where it is not told."""
    return {name: found.figures.get("token_level") for name, found in outcome.features.items()}


def _judge(
    table: VerdictTable, i: int, chance: Chance | str | None, figures: dict[str, Any]
) -> tuple[bool | None, str]:
    """Whether the feature falls with everything randomised."""
    verdict = str(table.verdict[i])
    if verdict in ("invalid", "untrusted"):
        return None, f"Cannot be told: {table.given_reasons.get(table.names[i], verdict)}"
    survives = _reads_concept(table, i, chance, figures)
    if survives:
        return False, f"It cannot fail: {survives}"
    if verdict == "insufficient":
        active = int(table.activity.active_clusters[i])
        return None, (
            "Cannot be told: on baseline and randomised model together it is active in "
            f"{count(active, 'document')} only."
        )
    found = figures["scopes"]["all"]
    identity, margin = found["identity"], found["margin"]
    if verdict == "drifted" and not found["identity_holds"]:
        how = "it is silent" if table.activity.dead[i] else f"its identity moves by {identity:.3g}"
        return True, f"With every weight randomised it drifts, as it must: {how}."
    if identity is None or not np.isfinite(identity):
        return False, (
            "It cannot fail: with every weight randomised it is not found to drift, for it has "
            "hardly more than one value."
        )
    shown = "identity holds" if found["identity_holds"] else f"it is found {verdict}, not drifted"
    return False, (
        f"It cannot fail: with every weight randomised {shown} (1 − agreement {identity:.3g}, "
        f"margin {margin:.3g})."
    )


def _reads_concept(
    table: VerdictTable, i: int, chance: Chance | str | None, figures: dict[str, Any]
) -> str | None:
    """How a feature still reads its concept with everything randomised; None where it does not."""
    if chance is None:
        return None
    if isinstance(chance, str):
        figures["concept"] = {"unknown": chance}
        return None
    baseline = float(table.auroc_a[i])
    needed = 0.5 + KEPT_SHARE * (baseline - 0.5)
    figures["concept"] = {
        "baseline_auroc": baseline,
        "auroc": chance.auroc,
        "auroc_se": chance.se,
        "random_mean": chance.mean,
        "random_sd": chance.sd,
        "z": chance.z,
        "directions": len(chance.random),
        # Where random read-outs range so widely, no AUROC could be found too high.
        "can_fail": bool(chance.mean + MAX_Z * chance.sd < 1),
    }
    beyond = chance.z > MAX_Z and chance.auroc > chance.random.max()
    if not (beyond and baseline > 0.5 and chance.auroc > needed):
        return None
    return (
        f"with every weight randomised it still reads its concept, AUROC {chance.auroc:.3f} "
        f"(baseline {baseline:.3f}), {chance.z:.1f} standard deviations above random directions "
        f"on the same model (mean {chance.mean:.3f}, sd {chance.sd:.3f})."
    )


def _row(table: VerdictTable, i: int) -> dict[str, Any]:
    """One feature of one scope, in figures."""
    found = table.inference.get(IDENTITY[int(table.activity.dense[i])])
    identity, margin, upper = (
        (float(getattr(found, field)[i]) for field in ("effect", "margin", "upper"))
        if found is not None
        else (np.nan,) * 3
    )
    # Measured and exactly 0 throughout: the same bits, so that nothing it reads was randomised.
    effects = [x.effect[i] for e, x in table.inference.items() if e != "robustness"]
    known = [effect for effect in effects if np.isfinite(effect)]
    return {
        "verdict": str(table.verdict[i]),
        "identity": identity,
        "margin": margin,
        # NaN compares as false: what cannot be told is not shown to hold.
        "identity_holds": bool(upper <= margin),
        "unaffected": bool(known) and not any(known),
        "auroc": float(table.auroc_b[i]),
    }


def _token_level(table: VerdictTable, i: int) -> bool | None:
    """Whether a feature survives all blocks randomised; None where it cannot be told."""
    if str(table.verdict[i]) in ("invalid", "untrusted"):
        return None
    excess = float(table.auroc_a[i]) - 0.5
    concept = table.inference.get("concept")
    # Δ ≥ −excess/2 says that half of the excess is left; at the lower end of Δ's interval, which
    # is clustered by document.
    if concept is not None and excess > 0 and float(concept.lower[i]) >= -(1 - KEPT_SHARE) * excess:
        return True
    verdict = str(table.verdict[i])
    return {"drifted": False, "stable": True}.get(verdict)


def _concept_sentence(concept: Mapping[str, Any] | None, passed: bool | None) -> str:
    """What could not be told of a concept, of a feature that has one and did not fail."""
    if concept is None or passed is False:
        return ""
    if "unknown" in concept:
        return f"Whether it still reads its concept there cannot be told: {concept['unknown']}"
    if not concept["can_fail"]:
        return (
            "Random directions on that model range so widely in AUROC that the feature's own "
            f"({concept['auroc']:.3f}) shows nothing."
        )
    return ""


def _token_sentence(value: bool | None) -> str:
    if not value:
        return ""
    return (
        "With all blocks randomised and the embeddings kept it survives: it reads tokens, not what "
        "the model computes."
    )


def _top_sentence(figures: Mapping[str, Any]) -> str:
    if not figures["scopes"].get("top", {}).get("unaffected"):
        return ""
    return "It lies below the upper half of the blocks and is unaffected by their randomisation."
