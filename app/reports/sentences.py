"""Short answers to the four questions."""

from collections.abc import Iterator

from app.reports.findings import Findings
from app.reports.model import Answers, Feature
from app.reports.parts import ControlLine
from app.reports.words import CARRIED, count, listing, number, percent, verb

_WORSE = 8


def answers(found: Findings) -> Answers:
    """The four questions; of an evaluation without verdicts, why they have no answer."""
    if found.comparison is None:
        state = found.subject.state
        became = {"failed": "failed", "succeeded": "has no verdicts"}.get(state, f"is {state}")
        nothing = (f"Not known: the evaluation {became}.",)
        return Answers(
            what_changed=nothing,
            what_broke=nothing,
            what_to_trust=("Nothing can be said of any feature at this checkpoint.",),
            what_needs_intervention=(_needed(found),),
        )
    return Answers(
        what_changed=tuple(_changed(found)),
        what_broke=tuple(_broke(found)) or ("Nothing was found broken.",),
        what_to_trust=tuple(_trust(found)),
        what_needs_intervention=(_needed(found),),
    )


def _changed(found: Findings) -> Iterator[str]:
    compared = found.comparison
    if compared is None:
        return
    drifted, judged = compared.counts.get("drifted", 0), compared.judged
    if judged:
        between = ""
        if compared.drifted_lower is not None and compared.drifted_upper is not None:
            between = (
                f", 95% interval {percent(compared.drifted_lower)} to "
                f"{percent(compared.drifted_upper)}"
            )
        share = f" ({percent(drifted / judged)}{between})"
        yield (
            f"{drifted} of {count(judged, 'feature')} that could be judged "
            f"{verb(drifted, 'has', 'have')} drifted from {found.subject.baseline!r}{share}."
        )
    else:
        yield "No feature could be judged."
    if names := _names(found.named("drifted")):
        yield f"Drifted: {listing(names, total=drifted)}."
    if compared.changes:
        kinds = (f"{kind} {n:,}" for kind, n in sorted(compared.changes.items()))
        yield f"By what changed most: {', '.join(kinds)}."
    if found.previous is not None:
        stepped = found.previous.counts.get("drifted", 0)
        yield (
            f"Since the previous checkpoint {found.subject.previous!r}: "
            f"{stepped} of {count(found.previous.judged, 'feature')} drifted."
        )
    if slow := found.slow():
        yield f"Drifting slowly, over many checkpoints: {listing(_names(slow))}."


def _broke(found: Findings) -> Iterator[str]:
    drifted = found.named("drifted")
    for control in found.failed_controls:
        if control.control == "no_op":
            yield f"The measurement itself: {control.detail}"
    invalid = found.named("invalid")
    for reason in dict.fromkeys(f.reason for f in invalid):
        yield f"{listing(f.name for f in invalid if f.reason == reason)}: {reason}"
    gone = [f for f in drifted if f.change == "dead"]
    if gone:
        yield f"Fire nowhere any more: {listing(_names(gone))}."
    for label in ("lost", "dictionary_stale", "unexplained"):
        some = [f for f in drifted if f.diagnosis is not None and f.diagnosis.label == label]
        if some and some[0].diagnosis is not None:
            yield f"{label.replace('_', ' ').capitalize()}: {listing(_names(some))}. " + (
                some[0].diagnosis.meaning
            )
    carried = [f for f in drifted if f.diagnosis is not None and f.diagnosis.label in CARRIED]
    if carried:
        labels = sorted({f.diagnosis.label for f in carried if f.diagnosis is not None})
        yield (
            f"Broken as defined, yet still carried by the model ({', '.join(labels)}): "
            f"{listing(_names(carried))}."
        )
    undiagnosed = [f for f in drifted if f.diagnosis is None]
    if undiagnosed:
        why = f" {found.diagnosis_note}" if found.diagnosis_note else ""
        yield f"Drifted, with no diagnosis: {listing(_names(undiagnosed))}.{why}"
    worse = [f for f in found.features if _reads_worse(f)]
    if worse:
        shown = [
            f"{f.name!r} (AUROC {number(f.behaviour.concept_auroc_baseline)} before, "
            f"{number(f.behaviour.concept_auroc_candidate)} now)"
            for f in worse[:_WORSE]
        ]
        more = f" and {len(worse) - _WORSE:,} more" if len(worse) > _WORSE else ""
        yield (
            f"{verb(len(worse), 'Reads its concept', 'Read their concepts')} worse: "
            f"{', '.join(shown)}{more}."
        )
    stale = [d for d in found.dictionaries if _over(d, found.policy.fvu_max)]
    for line in stale:
        yield (
            f"Dictionary {line.dictionary!r} leaves {number(line.fvu)} of the variance "
            f"unexplained on the {line.role} side, more than {number(found.policy.fvu_max)}."
        )


def _over(line: object, limit: float) -> bool:
    fvu = getattr(line, "fvu", None)
    return fvu is not None and fvu > limit


def _reads_worse(feature: Feature) -> bool:
    line = next((e for e in feature.estimates if e.estimand == "concept"), None)
    trusted = feature.verdict not in ("untrusted", "invalid")
    return trusted and line is not None and line.finding == "beyond" and line.effect < 0


def _trust(found: Findings) -> Iterator[str]:
    compared = found.comparison
    if compared is None:
        return
    told = [c for c in found.controls if c.outcome in ("held", "failed")]
    failed = found.failed_controls
    if failed:
        yield (
            f"{len(failed)} of {count(len(told), 'control')} failed: "
            f"{', '.join(map(_failure, failed))}."
        )
    elif told:
        yield f"{count(len(told), 'control')} could have failed, and held."
    if len(told) <= 1:
        yield (
            "Nothing but the no-op control shows that these verdicts could have come out otherwise."
        )
    stable = compared.counts.get("stable", 0)
    if stable:
        proven = listing(_names(found.named("stable")), total=stable) or "not listed"
        yield (
            f"{count(stable, 'feature')} {verb(stable, 'is', 'are')} shown to be stable within "
            f"{verb(stable, 'its', 'their')} margins: {proven}."
        )
    else:
        yield "No feature is shown to be stable."
    for verdict, said in (
        ("untrusted", "Not to be trusted, whatever else they score"),
        ("inconclusive", "Neither shown to drift nor to be stable"),
        ("insufficient", "Active in too few documents to be judged"),
        ("invalid", "Nothing to judge"),
    ):
        if n := compared.counts.get(verdict, 0):
            names = _names(found.named(verdict))
            yield f"{said} ({n:,}): {listing(names, total=n) or 'not listed'}."
    held = int(found.held.get("count", 0))
    if held:
        marks = listing([str(name) for name in found.held.get("checkpoints", ())])
        yield (
            f"{count(held, 'stable feature')} {verb(held, 'rests', 'rest')} on margins that the "
            f"benign mark of {marks} raised."
        )


def _needed(found: Findings) -> str:
    if found.comparison is None:
        match found.subject.state:
            case "queued" | "running":
                return "Nothing yet: wait for the evaluation."
            case "failed":
                return "Remove the cause of the failure, then let it be worked on again."
            case _:
                return "Decide whether the evaluation is still wanted; it can be worked on again."
    parts = []
    if paged := found.paged():
        parts.append(
            f"{count(len(paged), 'feature')} {verb(len(paged), 'needs', 'need')} someone now"
        )
    if found.repair is not None:
        n = len(found.repair.changed)
        parts.append(f"a repair of {count(n, 'feature')} waits for a decision")
    repaired = set(found.repair.changed) if found.repair is not None else set()
    broken = [
        feature
        for feature in found.named("drifted")
        if feature.diagnosis and feature.repair is None and feature.name not in repaired
    ]
    if broken:
        n = len(broken)
        parts.append(f"{count(n, 'drifted feature')} {verb(n, 'has', 'have')} no repair")
    if n := found.counted("untrusted"):
        parts.append(
            f"{count(n, 'feature')} must be mended before {verb(n, 'its', 'their')} numbers count"
        )
    if n := found.counted("inconclusive") + found.counted("insufficient"):
        parts.append(f"{count(n, 'feature')} {verb(n, 'needs', 'need')} more documents")
    if n := found.counted("invalid"):
        parts.append(f"{count(n, 'feature')} cannot be read at all")
    if slow := found.slow():
        parts.append(f"{count(len(slow), 'feature')} {verb(len(slow), 'drifts', 'drift')} slowly")
    drifted = found.counted("drifted")
    if drifted and not parts:
        parts.append(f"decide on {count(drifted, 'drifted feature')}")
    if not parts:
        return "Nothing at this checkpoint."
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _failure(control: ControlLine) -> str:
    """A control that failed, and for which features if not for the evaluation as a whole."""
    name = control.control.replace("_", " ")
    return f"{name} (for {listing(control.failed_for, 5)})" if control.failed_for else name


def _names(features: list[Feature]) -> list[str]:
    return [feature.name for feature in features]
