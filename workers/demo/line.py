"""What each checkpoint of the line is, what should be found, and what was.

The expectations follow from how each checkpoint was made, before any of them is measured. Shares
leave room for what training decides anew on every machine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

READS_RESIDUAL_STREAM = (
    "number-latent",
    "definition-latent",
    "import-latent",
    "comment-probe",
    "string-probe",
    "keyword-probe",
    "number-direction",
)

READABLE_SHARE = 0.5
"""A probe fitted anew that keeps at least this share of its AUROC above chance still reads the
concept."""


@dataclass(frozen=True)
class Outcome:
    """What the service measured of one checkpoint against the baseline.

    Attributes:
        gate: the gate's answer.
        state: the evaluation's state.
        error: why it failed, if it did.
        verdicts: per feature, the verdict row as the API answers it.
        health: per role and dictionary, FVU and its like.
        controls: what each negative control found.
        changes: what the proposed repair would change, per feature.
        refits: AUROC of a probe fitted anew to the comments, on the base and here.
    """

    gate: str
    state: str
    error: str | None
    verdicts: Mapping[str, Mapping[str, Any]]
    health: Sequence[Mapping[str, Any]] = ()
    controls: Sequence[Mapping[str, Any]] = ()
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    refits: tuple[float, float] | None = None

    @cached_property
    def counts(self) -> dict[str, int]:
        """Features by verdict."""
        counts: dict[str, int] = {}
        for row in self.verdicts.values():
            counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
        return counts

    def share(self, verdict: str) -> float:
        """Share of the features that may be trusted with this verdict.

        Which neuron or latent is no better than a random one, training decides anew each time.
        """
        trusted = len(self.verdicts) - self.counts.get("untrusted", 0)
        return self.counts.get(verdict, 0) / max(1, trusted)

    def verdict(self, feature: str) -> str:
        """The feature's verdict; ``missing`` if it has none."""
        row = self.verdicts.get(feature)
        return "missing" if row is None else str(row["verdict"])

    def diagnosis(self, feature: str) -> str:
        """Why the feature drifted; ``none`` where nothing was diagnosed."""
        return str(self.verdicts.get(feature, {}).get("diagnosis") or "none")

    @cached_property
    def diagnoses(self) -> dict[str, int]:
        """Features by diagnosis."""
        counts: dict[str, int] = {}
        for row in self.verdicts.values():
            if row.get("diagnosis"):
                counts[row["diagnosis"]] = counts.get(row["diagnosis"], 0) + 1
        return counts

    def held_out(self, feature: str) -> str:
        """The verdict on the feature's proposed repair, on documents it was not fitted on."""
        evidence = self.changes.get(feature, {}).get("evidence", {})
        return str((evidence.get("held_out") or {}).get("verdict") or "none")

    @property
    def still_readable(self) -> bool | None:
        """Whether a probe fitted anew still reads comments."""
        if self.refits is None:
            return None
        base, here = self.refits
        return here - 0.5 >= READABLE_SHARE * (base - 0.5)

    def auroc(self, feature: str) -> float:
        """The feature's AUROC on its concept in this checkpoint; NaN without one."""
        value = self.verdicts.get(feature, {}).get("concept_auroc_candidate")
        return float("nan") if value is None else float(value)

    def fvu(self, role: str) -> float:
        """The dictionary's FVU on one side; NaN if it was not measured."""
        for row in self.health:
            if row["role"] == role and row["fvu"] is not None:
                return float(row["fvu"])
        return float("nan")


Check = tuple[str, Callable[[Outcome], bool]]


@dataclass(frozen=True)
class Checkpoint:
    """One of the line.

    Attributes:
        name: in the registry.
        note: how it was made.
        expected: what should be found, in one sentence.
        checks: the sentence as predicates, each with words for the case that it does not hold.
    """

    name: str
    note: str
    expected: str
    checks: tuple[Check, ...]

    def mismatches(self, outcome: Outcome) -> list[str]:
        """What was expected and not found."""
        if outcome.state != "succeeded":
            return [f"the evaluation {outcome.state}: {outcome.error}"]
        return [words for words, holds in self.checks if not holds(outcome)]


def _gate(answer: str) -> Check:
    return f"the gate should answer {answer}", lambda outcome: outcome.gate == answer


def _all_of(features: Sequence[str], verdict: str) -> Check:
    def holds(outcome: Outcome) -> bool:
        found = {outcome.verdict(feature) for feature in features}
        return verdict in found and found <= {verdict, "untrusted"}

    return f"{', '.join(features)} should be {verdict} (where they may be trusted)", holds


def _at_least(share: float, verdict: str) -> Check:
    return (
        f"at least {share:.0%} of the trusted features should be {verdict}",
        lambda outcome: outcome.share(verdict) >= share,
    )


def _at_most(share: float, verdict: str) -> Check:
    return (
        f"at most {share:.0%} of the trusted features should be {verdict}",
        lambda outcome: outcome.share(verdict) <= share,
    )


def _all_diagnosed(features: Sequence[str], *diagnoses: str) -> Check:
    return (
        f"{', '.join(features)} should be diagnosed as {' or '.join(diagnoses)}",
        lambda outcome: all(
            outcome.diagnosis(feature) in diagnoses
            for feature in features
            if outcome.verdict(feature) == "drifted"
        ),
    )


def _repaired(features: Sequence[str]) -> Check:
    return (
        f"the repair proposed for {', '.join(features)} should be stable on held-out documents",
        lambda outcome: all(
            outcome.held_out(feature) == "stable"
            for feature in features
            if outcome.verdict(feature) == "drifted"
        ),
    )


LINE: tuple[Checkpoint, ...] = (
    Checkpoint(
        "copy",
        "The base's files, copied.",
        "all that is trusted is stable, all effects are 0, the gate passes",
        (
            _gate("pass"),
            _at_least(1.0, "stable"),
            (
                "every effect should be exactly 0",
                lambda outcome: all(
                    estimate["effect"] == 0
                    for row in outcome.verdicts.values()
                    for estimate in row["estimates"].values()
                ),
            ),
        ),
    ),
    Checkpoint(
        "bf16",
        "The base's weights, rounded to bfloat16.",
        "nothing has drifted",
        (_at_most(0.0, "drifted"), _at_least(0.9, "stable")),
    ),
    Checkpoint(
        "benign",
        "A little more training on the same data.",
        "most features hold, every probe among them",
        (
            _at_most(0.25, "drifted"),
            _all_of(("comment-probe", "string-probe", "keyword-probe"), "stable"),
        ),
    ),
    Checkpoint(
        "stripped",
        "Fine-tuned on the same code, stripped of its comments.",
        "comment latents drift, the comment probe is not shown to hold; the gate fails",
        (
            _gate("fail"),
            _all_of(("comment-latent", "comment-latent-2"), "drifted"),
            (
                "the comment probe should not be stable",
                lambda outcome: outcome.verdict("comment-probe") in ("drifted", "inconclusive"),
            ),
        ),
    ),
    Checkpoint(
        "rotated",
        "The residual stream turned by a random rotation; the same function.",
        "what reads the residual stream is rotated and repaired, neurons are stable",
        (
            _gate("fail"),
            _all_of(READS_RESIDUAL_STREAM, "drifted"),
            _all_diagnosed(READS_RESIDUAL_STREAM, "rotated"),
            _repaired(READS_RESIDUAL_STREAM),
            _all_of(("operator-neuron", "keyword-neuron"), "stable"),
        ),
    ),
    Checkpoint(
        "rescaled",
        "The residual stream times 1.5; the same function.",
        "what reads the residual stream is rescaled and repaired, neurons are stable",
        (
            _gate("fail"),
            _all_of(READS_RESIDUAL_STREAM, "drifted"),
            _all_diagnosed(READS_RESIDUAL_STREAM, "rescaled"),
            _repaired(READS_RESIDUAL_STREAM),
            _all_of(("operator-neuron", "keyword-neuron"), "stable"),
        ),
    ),
    Checkpoint(
        "erased",
        "The comment probe's direction taken out of every matrix that writes.",
        "the comment probe is at chance; lost or relocated, as a labelled refit says",
        (
            _gate("fail"),
            _all_of(("comment-probe",), "drifted"),
            (
                "the comment probe should be relocated where a probe fitted anew still reads "
                "comments, and lost where it does not",
                lambda outcome: (
                    outcome.diagnosis("comment-probe")
                    == ("relocated" if outcome.still_readable else "lost")
                ),
            ),
            (
                "the comment probe's AUROC should be within 0.05 of chance",
                lambda outcome: abs(outcome.auroc("comment-probe") - 0.5) <= 0.05,
            ),
        ),
    ),
    Checkpoint(
        "fresh",
        "The same architecture with freshly drawn weights.",
        "everything has drifted and is lost",
        (
            _gate("fail"),
            _at_least(0.9, "drifted"),
            _all_of(READS_RESIDUAL_STREAM, "drifted"),
            (
                "every drifted feature should be lost",
                lambda outcome: set(outcome.diagnoses) == {"lost"},
            ),
        ),
    ),
)
