"""A feature's card: what breaks it, and how it should be monitored, derived from the evidence."""

from collections.abc import Iterator
from math import ceil

from app.reports.material import Material
from app.reports.model import Feature
from app.reports.parts import EstimateLine, HistoryLine, Suggestion
from app.reports.words import count, interval, listing, number, percent, quantity

NEAR = 0.7
"""An interval that reaches so far towards its margin is near it."""
POWER_80 = ((1.96 + 0.84) / 1.96) ** 2
"""How many times the documents that put an interval's end at its margin half of the time are
needed to do so in 80% of repetitions (normal approximation)."""
LIVELY = 3
"""Earlier evaluations from which a history says something."""


def what_breaks(feature: Feature) -> Iterator[str]:
    """Sentences on what was seen to break the feature, and what it survived."""
    if feature.verdict == "drifted":
        kinds = ", ".join(feature.changes) or "what it reads"
        yield f"This update: {kinds}."
    if feature.diagnosis is not None:
        label = feature.diagnosis.label.replace("_", " ")
        yield f"Diagnosed as {label}: {feature.diagnosis.reason}"
    earlier = [line for line in feature.history if line.verdict == "drifted"]
    if earlier:
        yield (
            f"It drifted in {count(len(earlier), 'earlier evaluation')} of this monitor: "
            f"{listing(dict.fromkeys(line.checkpoint for line in earlier))}."
        )
    for line in feature.robustness:
        if line.perturbation != "all" and line.candidate is not None and line.candidate < 0.5:
            yield (
                f"Variants of the kind {line.perturbation!r}: agreement with their documents is "
                f"{number(line.candidate)} (1 is the same reading, 0 says nothing of it)."
            )
    for control in feature.controls:
        if control.outcome == "failed":
            yield f"Control {control.control} failed: {control.detail}"
    if feature.behaviour.token_level:
        yield "Other tokens: with only the embeddings left it reads the same, so it reads tokens."
    if feature.causal is not None and feature.causal.changed and feature.causal.change:
        yield f"What it does in the model changed: {feature.causal.change}"
    shaken = [c for c in feature.controls if c.control == "randomised_model"]
    if shaken and shaken[0].outcome == "held":
        yield f"Random weights: {shaken[0].detail}"


def suggestions(feature: Feature, material: Material) -> Iterator[Suggestion]:
    """How to monitor the feature from now on; each with the figure that says so."""
    yield from _documents(feature, material)
    yield from _watching(feature)
    yield from _margins(feature)
    yield from _definition(feature)
    yield from _evidence(feature)


def _documents(feature: Feature, material: Material) -> Iterator[Suggestion]:
    seen = feature.behaviour
    least = material.policy.min_active_documents
    if feature.verdict == "insufficient":
        if seen.active_documents == 0:
            what = "Add documents on which it fires, or take it out of the set."
        else:
            needed = ceil(seen.documents * least / seen.active_documents)
            what = (
                f"Add documents in which it fires: at this rate about {needed:,} documents like "
                f"these would hold {least}."
            )
        active = f"active in {seen.active_documents} of {seen.documents} documents"
        yield Suggestion(about="corpus", what=what, why=f"It is {active}, and {least} are needed.")
    lead = feature.lead
    if feature.verdict == "inconclusive" and lead is not None:
        times = documents_needed(lead)
        if times is not None:
            total = f"about {ceil(times * seen.documents):,} documents like these"
            yield Suggestion(
                about="corpus",
                what=f"Evaluate on more documents: {total} would settle it (power 80%).",
                why=f"The interval of {lead.estimand}, {_interval(lead)}, contains the margin "
                f"{quantity(lead.margin, lead.scale)}.",
            )
        else:
            yield Suggestion(
                about="margin",
                what="More documents will hardly settle it: decide which margin matters.",
                why=f"The effect {quantity(lead.effect, lead.scale)} of {lead.estimand} lies at "
                f"the margin {quantity(lead.margin, lead.scale)}.",
            )


def documents_needed(line: EstimateLine) -> float | None:
    """How many times the documents put the interval on one side of the margin (power 80%).

    Standard errors shrink with the root of the number of documents; the estimate is taken to stay.
    None without an interval, or where it would take over a hundred times as many.
    """
    if line.lower is None or line.upper is None:
        return None
    gap = abs(abs(line.effect) - line.margin)
    half = (line.upper - line.lower) / 2
    if half <= 0 or half >= 10 * gap / POWER_80**0.5:
        return None
    return max(1.0, POWER_80 * (half / gap) ** 2)


def _watching(feature: Feature) -> Iterator[Suggestion]:
    if feature.verdict == "drifted" and feature.repair is not None:
        yield Suggestion(
            about="watch",
            what="Accept the repair, then watch the new definition with this checkpoint as its "
            "baseline; until then this feature's name stands for something else.",
            why=feature.repair.reason,
        )
    elif feature.verdict == "drifted":
        yield Suggestion(
            about="watch",
            what="Do not rely on it at this checkpoint; define it anew, or take it out of the set.",
            why=feature.diagnosis.reason
            if feature.diagnosis is not None
            else "It drifted, and no repair is proposed.",
        )
    trend = feature.trend
    if trend is not None and trend.level is not None and trend.limit:
        reached = abs(trend.level) / trend.limit
        if feature.verdict != "drifted" and reached > NEAR:
            yield Suggestion(
                about="watch",
                what="Keep it on the watchlist: many small steps add up.",
                why=f"Its moving average of {trend.estimand} over "
                f"{count(trend.checkpoints or 0, 'checkpoint')} has reached "
                f"{percent(reached)} of its limit.",
            )
    drifts = [line for line in feature.history if line.verdict == "drifted"]
    if len(feature.history) >= LIVELY and len(drifts) * 3 >= len(feature.history):
        yield Suggestion(
            about="watch",
            what="It changes often: keep it on the watchlist, and ask what leans on it.",
            why=f"It drifted in {len(drifts)} of {len(feature.history)} earlier evaluations.",
        )
    elif len(feature.history) >= LIVELY and feature.verdict == "stable" and _calm(feature.history):
        yield Suggestion(
            about="watch",
            what="As it is watched now is enough.",
            why=f"It was stable in all of {len(feature.history)} earlier evaluations.",
        )


def _calm(history: tuple[HistoryLine, ...]) -> bool:
    return all(line.verdict == "stable" for line in history)


def _margins(feature: Feature) -> Iterator[Suggestion]:
    for line in feature.estimates:
        if line.margin_source.startswith("noise_floor:benign:"):
            yield Suggestion(
                about="margin",
                what=f"Make sure that the update behind the margin of {line.estimand} was "
                "harmless; if it was not, take the mark off.",
                why=f"{line.margin_meaning} raised it to {quantity(line.margin, line.scale)}.",
            )
        elif line.margin_source.startswith("noise_floor:"):
            yield Suggestion(
                about="margin",
                what=f"Set the policy's margin of {line.estimand} no lower than "
                f"{quantity(line.margin, line.scale)}: less cannot be measured here.",
                why=f"{line.margin_meaning} alone move features that far.",
            )
    if feature.verdict != "stable":
        return
    reach = [(_reach(line), line) for line in feature.estimates if line.upper is not None]
    if not reach:
        return
    most, nearest = max(reach, key=lambda pair: (pair[0] / pair[1].margin, pair[1].estimand))
    if most > NEAR * nearest.margin:
        yield Suggestion(
            about="watch",
            what=f"Put it on the watchlist: {nearest.estimand} is near its margin.",
            why=f"Its interval, {_interval(nearest)}, reaches "
            f"{percent(most / nearest.margin)} of the margin.",
        )
    elif most > 0:
        yield Suggestion(
            about="margin",
            what="Margins may be narrower, should that matter: it would still be shown stable "
            f"with {percent(most / nearest.margin)} of them.",
            why=f"The interval nearest to its margin is that of {nearest.estimand}: "
            f"{_interval(nearest)}.",
        )


def _reach(line: EstimateLine) -> float:
    return max(abs(line.lower or 0.0), abs(line.upper or 0.0))


def _definition(feature: Feature) -> Iterator[Suggestion]:
    failed = [control for control in feature.controls if control.outcome == "failed"]
    if failed:
        yield Suggestion(
            about="definition",
            what="Mend the feature or its labels before relying on any of its numbers.",
            why="; ".join(f"{control.control}: {control.detail}" for control in failed),
        )
    if feature.behaviour.token_level:
        yield Suggestion(
            about="definition",
            what="A list of tokens would do as well and costs nothing to watch.",
            why="It survives with all blocks randomised: no drift of the model's computation "
            "will show in it.",
        )
    found = feature.baselines
    if found is not None and found.earns_keep == "no":
        yield Suggestion(
            about="baseline",
            what="Use the simpler read-out in its place.",
            why=found.reason,
        )
    elif found is not None and found.earns_keep == "not_shown":
        yield Suggestion(
            about="baseline",
            what="Label more documents with its concept: nothing shows yet that it earns its keep.",
            why=found.reason,
        )


def _evidence(feature: Feature) -> Iterator[Suggestion]:
    blind = [control.control for control in feature.controls if control.outcome == "not_told"]
    if blind:
        yield Suggestion(
            about="control",
            what="See why some controls could not be told: not told is not passed.",
            why=f"Not told: {', '.join(blind)}.",
        )


def _interval(line: EstimateLine) -> str:
    return interval(line.lower, line.upper, line.scale)
