"""What a person has to do or to decide after an evaluation, with the calls that do it."""

from collections.abc import Iterator, Sequence

from app.reports.findings import Findings
from app.reports.model import Feature, Intervention
from app.reports.words import MISSING, count, listing

_NAMED = 50


def interventions(found: Findings) -> tuple[Intervention, ...]:
    """All of them, the most urgent first."""
    order = ("now", "decide", "mend", "plan")
    every = [*_unfinished(found), *_drifted(found), *_untold(found), *_blind(found)]
    return tuple(sorted(every, key=lambda one: order.index(one.urgency)))


def _unfinished(found: Findings) -> Iterator[Intervention]:
    here = f"/evaluations/{found.subject.evaluation}"
    if found.subject.state == "failed":
        yield Intervention(
            urgency="mend",
            what="Remove the cause of the failure, then let the evaluation be worked on again.",
            why=found.trouble or "No reason is recorded.",
            features=(),
            calls=(f'curl -X POST "$API{here}:retry"',),
        )
    elif found.subject.state == "cancelled":
        yield Intervention(
            urgency="decide",
            what="Let it be worked on again, if the checkpoint still matters.",
            why="It was cancelled.",
            features=(),
            calls=(f'curl -X POST "$API{here}:retry"',),
        )
    elif found.subject.state in ("queued", "running"):
        yield Intervention(
            urgency="plan",
            what="Wait for it to end; this report then says what it found.",
            why=f"The evaluation is {found.subject.state}.",
            features=(),
            calls=(f'curl "$API{here}?wait=60s"',),
        )


def _drifted(found: Findings) -> Iterator[Intervention]:
    if paged := found.paged():
        yield Intervention(
            urgency="now",
            what=f"Look at {count(len(paged), 'feature')}: what leans on "
            f"{'it' if len(paged) == 1 else 'them'} may no longer hold at this checkpoint.",
            why="Their simultaneous intervals lie wholly beyond a margin; the false-page budget "
            "bounds how often this is wrong.",
            features=_names(paged),
            calls=(),
        )
    repair = found.repair
    if repair is not None:
        yield Intervention(
            urgency="decide",
            what="Read the proposed repair, then accept or reject it, unless that was done since: "
            "it never applies itself.",
            why="Each proposed definition was judged on documents that it was not fitted on.",
            features=repair.changed[:_NAMED],
            calls=(repair.read, repair.accept, repair.reject),
        )
    repaired = set(repair.changed) if repair is not None else set()
    for label, what in (
        ("lost", "Decide what replaces these features: the site no longer carries them."),
        ("dictionary_stale", "Train a new dictionary for the site, and name its latents anew."),
        ("unexplained", "Look at the passages, and find out why these features drifted."),
    ):
        some = _diagnosed(found, label)
        if some:
            reason = some[0].diagnosis.reason if some[0].diagnosis is not None else ""
            yield Intervention(
                urgency="mend", what=what, why=reason, features=_names(some), calls=()
            )
    rest = [
        feature
        for feature in found.named("drifted")
        if feature.name not in repaired
        and (feature.diagnosis is None or feature.diagnosis.label not in MISSING)
    ]
    if rest:
        yield Intervention(
            urgency="decide",
            what="Decide whether the change matters where these features are used; if the update "
            "was harmless, its mark as benign lets later margins cover it.",
            why=found.diagnosis_note or _no_repair(rest),
            features=_names(rest),
            calls=(),
        )
    if slow := found.slow():
        yield Intervention(
            urgency="decide",
            what="Find out which updates add up, before these features leave their margins.",
            why="Their moving average over checkpoints has left its bound.",
            features=_names(slow),
            calls=(),
        )


def _untold(found: Findings) -> Iterator[Intervention]:
    for control in found.failed_controls:
        if control.control == "no_op":
            yield Intervention(
                urgency="mend",
                what="Find out why a second capture of the same weights differs; until then "
                "nothing that this deployment measures counts.",
                why=control.detail,
                features=(),
                calls=(),
            )
    if untrusted := found.named("untrusted"):
        yield Intervention(
            urgency="mend",
            what="Mend the definitions or labels of these features; their numbers are no evidence.",
            why=untrusted[0].reason,
            features=_names(untrusted),
            calls=(),
        )
    if invalid := found.named("invalid"):
        yield Intervention(
            urgency="mend",
            what="Mend what the features are read from; nothing can be judged.",
            why=invalid[0].reason,
            features=_names(invalid),
            calls=(),
        )
    unclear = found.named("inconclusive", "insufficient")
    if unclear:
        yield Intervention(
            urgency="plan",
            what="Give the monitor more documents in which these features are active; their cards "
            "say how many.",
            why=unclear[0].reason,
            features=_names(unclear),
            calls=(),
        )
    if int(found.held.get("count", 0)):
        marks = listing([str(name) for name in found.held.get("checkpoints", ())])
        yield Intervention(
            urgency="decide",
            what=f"Confirm that the update marked benign, {marks}, was harmless, or take off the "
            "mark.",
            why="It raised the margins within which these features are stable.",
            features=tuple(str(name) for name in found.held.get("features", ())),
            calls=(),
        )


def _blind(found: Findings) -> Iterator[Intervention]:
    """What nobody asked, and would be worth knowing; once for all features that it is about."""
    if found.comparison is None:
        return
    whole = found.subject.dictionary is not None
    unnamed = [f for f in found.features if f.concept is None]
    if unnamed and found.labelled and not whole:
        yield Intervention(
            urgency="plan",
            what="Name the concepts that these features stand for, so that their AUROC and simple "
            "baselines can be told.",
            why=f"They claim none; the corpus labels {listing(sorted(found.labelled), 4)}.",
            features=_names(unnamed),
            calls=(),
        )
    if not found.perturbed and found.features:
        yield Intervention(
            urgency="plan",
            what="Add variants of the documents: case, typos, paraphrases of your own.",
            why="The corpus holds none, so that nothing is known of robustness.",
            features=(),
            calls=(),
        )
    left_out = [control.control for control in found.controls if control.outcome == "left_out"]
    if left_out:
        yield Intervention(
            urgency="plan",
            what="Let the policy run the controls that it leaves out.",
            why=f"Left out: {', '.join(left_out)}; nothing shows that the features could have "
            "failed there.",
            features=(),
            calls=(),
        )
    if not whole and found.features and not any(f.causal for f in found.features):
        yield Intervention(
            urgency="plan",
            what="Ask for causal effects (the policy's causal.features) of features that steering "
            "or a guardrail leans on.",
            why="None was asked for, so that nothing shows that the model uses these features.",
            features=(),
            calls=(),
        )


def _no_repair(features: Sequence[Feature]) -> str:
    reasons = {f.diagnosis.no_repair for f in features if f.diagnosis and f.diagnosis.no_repair}
    said = f": {'; '.join(sorted(reasons))}" if reasons else ""
    return f"They drifted, and no repair of their own is proposed{said}."


def _diagnosed(found: Findings, label: str) -> list[Feature]:
    return [
        f for f in found.named("drifted") if f.diagnosis is not None and f.diagnosis.label == label
    ]


def _names(features: Sequence[Feature]) -> tuple[str, ...]:
    return tuple(feature.name for feature in features[:_NAMED])
