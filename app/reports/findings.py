"""What the sentences of a report are made from: an evaluation in a few sorted lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.monitors.policy import DriftPolicy
from app.reports.model import (
    ComparisonLine,
    DictionaryLine,
    Feature,
    Repair,
    Subject,
)
from app.reports.parts import ControlLine, Reason
from app.verdicts.gate import Standing, decide


@dataclass(frozen=True)
class Findings:
    """All that sentences are written about.

    Attributes:
        comparison: with the pinned baseline; None before there is one.
        trouble: why it failed.
        progress: shards done and known.
        step: what an unfinished evaluation is at.
        held: features stable only by a benign mark: `count`, `features`, `checkpoints`.
        diagnosis_note: why there is no diagnosis, or not of all.
        perturbed: whether the corpus holds variants of documents.
        labelled: concepts that the corpus labels.
    """

    subject: Subject
    policy: DriftPolicy
    features: Sequence[Feature] = ()
    comparison: ComparisonLine | None = None
    previous: ComparisonLine | None = None
    controls: Sequence[ControlLine] = ()
    dictionaries: Sequence[DictionaryLine] = ()
    repair: Repair | None = None
    trouble: str = ""
    progress: tuple[int, int] = (0, 0)
    step: str = ""
    held: Mapping[str, Any] = field(default_factory=dict)
    diagnosis_note: str | None = None
    perturbed: bool = False
    labelled: frozenset[str] = frozenset()

    def named(self, *verdicts: str) -> list[Feature]:
        """Features of some verdicts, in the order of the report."""
        return [feature for feature in self.features if feature.verdict in verdicts]

    def counted(self, verdict: str) -> int:
        """How many features have a verdict, listed or not."""
        counts: Mapping[str, int] = self.comparison.counts if self.comparison is not None else {}
        return counts.get(verdict, 0)

    @property
    def failed_controls(self) -> list[ControlLine]:
        """The controls of the evaluation that did not hold."""
        return [control for control in self.controls if control.outcome == "failed"]

    def reasons(self) -> tuple[Reason, ...]:
        """What this evaluation alone has against the checkpoint, by its own gate policy."""
        standing = Standing(
            monitor=self.subject.monitor,
            policy=self.policy.gate,
            evaluation=self.subject.evaluation,
            baseline=self.subject.baseline,
            state=self.subject.state,
            trouble=self.trouble,
            counts=dict(self.comparison.counts) if self.comparison is not None else {},
            failed_controls=[control.control for control in self.failed_controls],
            drifted=_names(self.named("drifted")),
            unproven=_names(
                self.named("untrusted", "inconclusive", "insufficient", "invalid"),
            ),
            untrusted=_names(self.named("untrusted")),
            slow_drift=[f.name for f in self.slow()],
            held_by_benign=[str(name) for name in self.held.get("features", ())],
            held_count=int(self.held.get("count", 0)),
            benign=[str(name) for name in self.held.get("checkpoints", ())],
        )
        _, found = decide([standing])
        return tuple(
            Reason(outcome=r.outcome, code=r.code, detail=r.detail, features=r.features)
            for r in found
        )

    def slow(self) -> list[Feature]:
        """Features that drift slowly and have not drifted yet."""
        return [f for f in self.features if f.slow_drift and f.verdict != "drifted"]

    def paged(self) -> list[Feature]:
        """Features that someone is woken for."""
        return [f for f in self.features if f.paged and f.verdict != "untrusted"]


def _names(features: Sequence[Feature]) -> list[str]:
    return [feature.name for feature in features]
