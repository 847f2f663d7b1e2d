"""The numerics control: the same weights computed otherwise, which sets the noise floor.

Checkpoints that a person has marked benign are null updates like these, and judged with them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.reports.words import NULL_UPDATES
from app.verdicts.plain import WHAT
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.numerics import has_sdpa
from workers.controls.outcome import ControlOutcome, FeatureOutcome, count, overall
from workers.drift.policy import ESTIMANDS, IDENTITY, Estimand, Floor, Policy
from workers.drift.verdicts import VerdictTable
from workers.numerics import Numerics

NAME = "numerics"

BENIGN = "benign:"
"""How the source begins of a null update that is a checkpoint which a person has marked."""

TOO_MANY_MARGINS = 5.0
"""A null update that moves a feature by more margins than this leaves nothing to measure."""
MAX_IDENTITY = 0.8
"""That limit for identity, of which 1 is the most there is."""


def null_variants(
    numerics: Numerics, batch_tokens: int, resolved: ResolvedCheckpoint
) -> dict[str, tuple[Numerics, int]]:
    """The other ways to compute a snapshot of the same weights: by role, numerics and batch size.

    A way that does not exist is left out: another attention kernel where the architecture has one
    only, and smaller batches where a batch is one token.
    """
    other_dtype = "bfloat16" if numerics.dtype == "float32" else "float32"
    variants = {"numerics_dtype": (replace(numerics, dtype=other_dtype), batch_tokens)}
    if batch_tokens > 1:
        variants["numerics_batch"] = (numerics, batch_tokens // 2)
    other_attention = "eager" if numerics.attn_implementation == "sdpa" else "sdpa"
    if other_attention == "eager" or has_sdpa(resolved):
        variants["numerics_attention"] = (
            replace(numerics, attn_implementation=other_attention),
            batch_tokens,
        )
    return variants


def unrepeatable(nulls: Mapping[str, VerdictTable], policy: Policy | None = None) -> frozenset[str]:
    """The features that fail: a null update surely moves them further than anything could measure.

    Args:
        nulls, policy: as for `judge`.
    """
    return frozenset(
        table.names[i]
        for table in nulls.values()
        for i in np.flatnonzero(_beyond(table, policy or Policy(), TOO_MANY_MARGINS)[1])
    )


def judge(
    floor: Mapping[tuple[Estimand, int], Floor],
    nulls: Mapping[str, VerdictTable],
    policy: Policy | None = None,
) -> ControlOutcome:
    """What null updates alone do to the features; it sets floors, and rarely fails one.

    A feature fails where a null update moves it, beyond doubt, by more than `TOO_MANY_MARGINS` of
    the policy's own margins (for identity at most `MAX_IDENTITY`): its numbers do not repeat.

    Args:
        floor: from `measure_floor`, for the figures.
        nulls: by source, the baseline against the same weights computed otherwise, and against
            checkpoints marked benign.
        policy: whose margins count, before any noise floor.
    """
    policy = policy or Policy()
    figures: dict[str, Any] = {
        "floors": [
            {"estimand": e, "stratum": s, "value": found.value, "source": found.source}
            for (e, s), found in sorted(floor.items(), key=lambda item: item[0])
        ],
        "sources": {
            source: {"moved": int(_beyond(table, policy, 1.0)[1].sum()), "features": len(table)}
            for source, table in nulls.items()
        },
    }
    if not nulls:
        return ControlOutcome(NAME, None, "No null update was captured.", figures)
    moved: set[str] = set()
    features: dict[str, FeatureOutcome] = {}
    for source, table in nulls.items():
        _, any_ = _beyond(table, policy, 1.0)
        moved.update(table.names[i] for i in np.flatnonzero(any_))
        far, failed = _beyond(table, policy, TOO_MANY_MARGINS)
        enough = table.activity.active_clusters >= policy.min_active_documents
        for i, name in enumerate(table.names):
            before = features.get(name)
            if before is not None and before.passed is False:
                continue
            if failed[i]:
                features[name] = _failed(table, i, far, source, policy)
            elif enough[i]:
                features[name] = FeatureOutcome(True, "Null updates leave its numbers in place.")
            elif before is None:
                features[name] = FeatureOutcome(
                    None, "Cannot be told: it is active in too few documents."
                )
    figures["moved"] = len(moved)
    failures = sum(found.passed is False for found in features.values())
    detail = (
        f"{_updates(nulls)} would alone have moved "
        f"{len(moved)} of {count(len(features), 'feature')} beyond the policy's margins; the "
        f"noise floor is raised to cover 99% of such effects. {failures} moved too far to be "
        "measured at all."
    )
    return ControlOutcome(NAME, overall(features), detail, figures, features)


def _updates(nulls: Mapping[str, VerdictTable]) -> str:
    """How many null updates of either kind there were."""
    benign = sum(source.startswith(BENIGN) for source in nulls)
    parts = []
    if benign < len(nulls):
        parts.append(f"{count(len(nulls) - benign, 'null update')} of the same weights")
    if benign:
        parts.append(f"{count(benign, 'checkpoint')} marked benign")
    return " and ".join(parts)


def _beyond(
    table: VerdictTable, policy: Policy, margins: float
) -> tuple[dict[Estimand, NDArray[np.bool_]], NDArray[np.bool_]]:
    """By estimand and together, [features] whose effect lies beyond so many margins.

    Beyond one margin by the estimate, beyond several by the nearer end of the interval. Features
    active in too few documents never do: their effects are chance.
    """
    enough = table.activity.active_clusters >= policy.min_active_documents
    found = {}
    for estimand, inference in table.inference.items():
        limit = _limit(estimand, policy, margins)
        size = (
            np.abs(inference.effect)
            if margins <= 1
            else np.maximum(inference.lower, -inference.upper)
        )
        found[estimand] = enough & inference.known & (np.nan_to_num(size) > limit)
    together = np.zeros(len(table), bool)
    for mask in found.values():
        together |= mask
    return found, together


def _limit(estimand: Estimand, policy: Policy, margins: float) -> float:
    margin = float(getattr(policy, estimand))
    limit = margins * margin
    return max(min(limit, MAX_IDENTITY), margin) if estimand in IDENTITY else limit


def _failed(
    table: VerdictTable,
    i: int,
    far: Mapping[Estimand, NDArray[np.bool_]],
    source: str,
    policy: Policy,
) -> FeatureOutcome:
    estimand = next(e for e in ESTIMANDS if e in far and far[e][i])
    found = table.inference[estimand]
    effect, margin = float(found.effect[i]), float(getattr(policy, estimand))
    update = NULL_UPDATES.get(source, f"the null update {source}")
    moves = (
        f"moved {WHAT[estimand]} ({estimand}) by {effect:.3g}, {abs(effect) / margin:.3g} times "
        f"the policy's margin of {margin:.3g}"
    )
    benign = source.startswith(BENIGN)
    return FeatureOutcome(
        False,
        f"Checkpoint {source.removeprefix(BENIGN)}, marked benign, {moves}: lift the mark if that "
        "is no harmless change; if it is one, nothing can be found to drift here."
        if benign
        else f"Its numbers do not repeat: {update} {moves}.",
        {
            "source": source,
            "estimand": estimand,
            "effect": effect,
            "lower": float(found.lower[i]),
            "upper": float(found.upper[i]),
            "margin": margin,
        },
    )
