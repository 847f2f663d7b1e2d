"""The table of expectations: it holds for what is true and complains of what is not."""

from typing import Any

import pytest
from rich.console import Console

from workers.demo.line import LINE, READS_RESIDUAL_STREAM, Checkpoint, Outcome
from workers.demo.tables import drift_table, outcomes_table, worth_table

FEATURES = (
    *READS_RESIDUAL_STREAM,
    "comment-latent",
    "comment-latent-2",
    "operator-neuron",
    "keyword-neuron",
)


def row(verdict: str, auroc: float = 0.9, diagnosis: str | None = None) -> dict[str, Any]:
    effect = -0.25 if verdict == "drifted" else 0.0
    return {
        "verdict": verdict,
        "change": "identity" if verdict == "drifted" else None,
        "diagnosis": diagnosis,
        "token_level": False,
        "controls": {"random_features": {"passed": True}},
        "concept_auroc_baseline": 0.9,
        "concept_auroc_candidate": auroc,
        "estimates": {"identity_dense": {"effect": effect, "margin": 0.1}},
    }


def outcome(
    gate: str,
    verdict: str,
    diagnosis: str | None = None,
    refits: tuple[float, float] | None = None,
    **others: dict[str, Any],
) -> Outcome:
    verdicts = {feature: row(verdict, diagnosis=diagnosis) for feature in FEATURES}
    verdicts |= {name.replace("_", "-"): value for name, value in others.items()}
    stable = {"evidence": {"held_out": {"verdict": "stable"}}}
    return Outcome(
        gate=gate,
        state="succeeded",
        error=None,
        verdicts=verdicts,
        controls=({"control": "no_op", "passed": True, "detail": "The same bits."},),
        changes=dict.fromkeys(verdicts, stable) if diagnosis in ("rotated", "rescaled") else {},
        refits=refits,
    )


def named(name: str) -> Checkpoint:
    return next(checkpoint for checkpoint in LINE if checkpoint.name == name)


ONE_NEURON_HOLDS = {"operator_neuron": row("untrusted"), "keyword_neuron": row("stable")}
NEURONS_HOLD = {"operator_neuron": row("stable"), "keyword_neuron": row("stable")}


@pytest.mark.parametrize(
    ("name", "measured"),
    [
        ("copy", outcome("pass", "stable")),
        ("copy", outcome("pass", "stable", operator_neuron=row("untrusted"))),
        ("rotated", outcome("fail", "drifted", "rotated", **ONE_NEURON_HOLDS)),
        ("bf16", outcome("pass", "stable")),
        ("benign", outcome("fail", "stable", number_latent=row("drifted"))),
        ("stripped", outcome("fail", "drifted")),
        ("rotated", outcome("fail", "drifted", "rotated", **NEURONS_HOLD)),
        ("rescaled", outcome("fail", "drifted", "rescaled", **NEURONS_HOLD)),
        (
            "erased",
            outcome(
                "fail",
                "stable",
                refits=(0.95, 0.94),
                comment_probe=row("drifted", 0.5, "relocated"),
            ),
        ),
        (
            "erased",
            outcome(
                "fail", "stable", refits=(0.95, 0.7), comment_probe=row("drifted", 0.5, "lost")
            ),
        ),
        ("fresh", outcome("fail", "drifted", "lost")),
    ],
)
def test_the_truth_is_as_expected(name: str, measured: Outcome) -> None:
    assert named(name).mismatches(measured) == []


@pytest.mark.parametrize(
    ("name", "measured"),
    [
        ("copy", outcome("fail", "stable")),
        ("bf16", outcome("pass", "stable", number_latent=row("drifted"))),
        ("benign", outcome("fail", "drifted")),
        ("stripped", outcome("fail", "drifted", comment_probe=row("stable"))),
        ("copy", outcome("pass", "stable", operator_neuron=row("inconclusive"))),
        ("rotated", outcome("fail", "drifted")),
        ("rotated", outcome("fail", "drifted", "lost", **NEURONS_HOLD)),
        ("rescaled", outcome("pass", "stable")),
        ("erased", outcome("fail", "stable", comment_probe=row("drifted", 0.9))),
        (
            "erased",
            outcome(
                "fail", "stable", refits=(0.95, 0.94), comment_probe=row("drifted", 0.5, "lost")
            ),
        ),
        ("fresh", outcome("fail", "drifted", "relocated")),
        ("fresh", outcome("fail", "inconclusive")),
    ],
)
def test_what_is_not_true_is_named(name: str, measured: Outcome) -> None:
    assert named(name).mismatches(measured)


def test_a_failed_evaluation_is_a_mismatch_with_its_reason() -> None:
    failed = Outcome("inconclusive", "failed", "checkpoint_missing: gone", {})
    assert named("bf16").mismatches(failed) == ["the evaluation failed: checkpoint_missing: gone"]


def test_tables_show_every_checkpoint_and_mark_mismatches() -> None:
    outcomes = {checkpoint.name: outcome("fail", "drifted") for checkpoint in LINE}
    mismatches = {
        checkpoint.name: checkpoint.mismatches(outcomes[checkpoint.name]) for checkpoint in LINE
    }
    console = Console(width=160, record=True, quiet=True)
    with console.capture() as captured:
        console.quiet = False
        console.print(outcomes_table(outcomes, mismatches))
        console.print(drift_table(outcomes, ["comment-probe", "number-latent"]))
        console.print(worth_table(outcomes["bf16"].verdicts))
    text = captured.get()
    for checkpoint in LINE:
        assert checkpoint.name in text
    assert text.count("MISMATCH") == sum(map(bool, mismatches.values()))
    assert "2.5i" in text
    assert "0.900" in text
