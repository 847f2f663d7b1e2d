"""The verdict in one sentence hides no feature, and says what decided."""

from typing import Any

import pytest

from app.monitors.policy import DriftPolicy
from app.reports.findings import Findings
from app.reports.headline import headline
from app.reports.interventions import interventions
from app.reports.model import ComparisonLine
from app.reports.parts import ControlLine
from app.reports.sentences import answers
from tests.unit.reports.worlds import drifted, feature, report

PAIR = "in checkpoint '2026-11-22' against '2026-11-01'"
LENIENT = {"max_drifted_ratio": 0.5, "max_unproven_ratio": 1.0}
JUDGED = ("drifted", "stable", "inconclusive")


def compared(counts: dict[str, int], invalid_reason: str | None = None) -> ComparisonLine:
    return (
        report()
        .comparisons[0]
        .model_copy(
            update={
                "features": sum(counts.values()),
                "judged": sum(counts.get(verdict, 0) for verdict in JUDGED),
                "counts": counts,
                "invalid_reason": invalid_reason,
            }
        )
    )


def findings(
    counts: dict[str, int],
    gate: dict[str, Any] | None = None,
    invalid_reason: str | None = None,
    **known: Any,
) -> Findings:
    """Findings with these counts, under a gate policy; each feature is called by its verdict."""
    features = [
        feature(name=f"{verdict}-{i}", verdict=verdict, reason=f"it is {verdict}.")
        for verdict, n in counts.items()
        for i in range(n)
    ]
    return Findings(
        subject=report().subject,
        policy=DriftPolicy.model_validate({"gate": gate or {}}),
        features=features,
        comparison=compared(counts, invalid_reason),
        **known,
    )


def failed(control: str) -> ControlLine:
    return report().controls[0].model_copy(update={"control": control, "outcome": "failed"})


@pytest.mark.parametrize(
    ("counts", "gate", "sentence"),
    [
        ({"stable": 1}, {}, f"Pass: the one feature is shown to be stable {PAIR}."),
        ({"stable": 3}, {}, f"Pass: all 3 features are shown to be stable {PAIR}."),
        (
            {"stable": 3, "drifted": 2},
            LENIENT,
            "Pass: 2 of 5 features have drifted ('drifted-0' and 'drifted-1') and 3 are shown to "
            f"be stable {PAIR}; the policy lets 50% drift.",
        ),
        (
            {"stable": 3, "invalid": 1, "insufficient": 2, "inconclusive": 1, "untrusted": 1},
            LENIENT,
            "Pass: 1 of 8 features is untrusted, 1 is inconclusive, 2 are insufficient, 1 is "
            f"invalid and 3 are shown to be stable {PAIR}; the policy lets 100% stay unproven.",
        ),
        (
            {"drifted": 1, "stable": 1, "untrusted": 1},
            LENIENT,
            "Pass: 1 of 3 features has drifted ('drifted-0'), 1 is untrusted and 1 is shown to be "
            f"stable {PAIR}; the policy lets 50% drift and 100% stay unproven.",
        ),
        (
            {"drifted": 1},
            {},
            f"Fail: the one feature has drifted ('drifted-0') {PAIR}; the policy lets none drift.",
        ),
        (
            {"drifted": 7, "stable": 2, "invalid": 1},
            {"max_drifted_ratio": 0.1},
            "Fail: 7 of 10 features have drifted ('drifted-0', 'drifted-1', 'drifted-2', "
            "'drifted-3', 'drifted-4' and 2 more), 1 is invalid and 2 are shown to be stable "
            f"{PAIR}; the policy lets 10% drift and none stay unproven.",
        ),
        (
            {"stable": 4, "inconclusive": 1, "drifted": 1},
            {"max_drifted_ratio": 0.5},
            "Inconclusive: 1 of 6 features has drifted ('drifted-0'), 1 is inconclusive and 4 are "
            f"shown to be stable {PAIR}; the policy lets none stay unproven.",
        ),
        (
            {"untrusted": 3},
            LENIENT,
            f"Inconclusive: all 3 features are untrusted {PAIR}; nothing is shown of any.",
        ),
        (
            {"invalid": 3},
            LENIENT,
            f"Inconclusive: all 3 features are invalid {PAIR}: it is invalid.",
        ),
    ],
)
def test_every_verdict_is_counted_and_the_policy_named(
    counts: dict[str, int], gate: dict[str, Any], sentence: str
) -> None:
    told = headline(findings(counts, gate))
    assert told.sentence == sentence
    assert sentence.lower().startswith(told.outcome)


def test_a_failed_control_is_named_beside_the_drift_that_fails_it() -> None:
    told = headline(findings({"drifted": 1, "stable": 2}, controls=[failed("no_op")]))
    assert told.outcome == "fail"
    assert told.sentence == (
        f"Fail: 1 of 3 features has drifted ('drifted-0') and 2 are shown to be stable {PAIR}; "
        "the policy lets none drift; the control no_op failed, so the verdicts cannot be trusted."
    )


def test_an_invalid_comparison_says_what_does_not_fit() -> None:
    told = headline(findings({"invalid": 2}, LENIENT, "the tokenizers read other texts"))
    assert told.outcome == "inconclusive"
    assert told.sentence.endswith(f"are invalid {PAIR}: the tokenizers read other texts.")


def test_features_without_an_entry_are_counted_among_those_with_one() -> None:
    found = findings({"drifted": 7, "stable": 1})
    whole = {"drifted": 900, "stable": 100}
    more = Findings(
        subject=found.subject,
        policy=found.policy,
        features=found.features,
        comparison=compared(whole),
    )
    assert "900 of 1,000 features have drifted ('drifted-0'" in headline(more).sentence
    assert "'drifted-4' and 895 more)" in headline(more).sentence
    drifted_line, stable_line = answers(more).what_changed[1], answers(more).what_to_trust[-1]
    assert drifted_line.endswith("'drifted-6' and 893 more.")
    assert stable_line.endswith("'stable-0' and 99 more.")


def test_what_cannot_be_read_is_told_by_its_own_reason() -> None:
    found = findings({"invalid": 3, "stable": 1})
    first, second, third, *_ = found.features
    features = [first, second, third.model_copy(update={"reason": "another site."})]
    told = answers(
        Findings(found.subject, found.policy, features=features, comparison=found.comparison)
    )
    assert told.what_broke == (
        "'invalid-0' and 'invalid-1': it is invalid.",
        "'invalid-2': another site.",
    )


def test_sentence_answers_and_interventions_of_a_drifted_feature_agree() -> None:
    found = Findings(
        subject=report().subject,
        policy=DriftPolicy(),
        features=[drifted("a"), drifted("b", repair=None, paged=False)],
        comparison=compared({"drifted": 2}),
        controls=report().controls,
    )
    told = headline(found)
    assert told.outcome == "fail"
    assert told.sentence == (
        f"Fail: both features have drifted ('a' and 'b') {PAIR}; the policy lets none drift."
    )
    assert answers(found).what_needs_intervention == (
        "1 feature needs someone now; 1 drifted feature has no repair.",
    )
    urgent = interventions(found)[0]
    assert (urgent.urgency, urgent.features) == ("now", ("a",))


@pytest.mark.parametrize(
    ("state", "outcome", "word"),
    [
        ("queued", "pending", "Pending on checkpoint"),
        ("running", "pending", "2 of 5 shards done"),
        ("failed", "inconclusive", "the evaluation failed: the disk is full."),
        ("cancelled", "inconclusive", "cancelled before it had verdicts"),
        ("succeeded", "inconclusive", "has no verdict on any feature"),
    ],
)
def test_without_verdicts_the_sentence_says_why(state: str, outcome: str, word: str) -> None:
    found = Findings(
        subject=report().subject.model_copy(update={"state": state}),
        policy=DriftPolicy(),
        trouble="the disk is full",
        progress=(2, 5),
        step="capture",
    )
    told = headline(found)
    assert told.outcome == outcome
    assert word in told.sentence
    assert len(interventions(found)) == (0 if state == "succeeded" else 1)
    assert answers(found).what_to_trust == (
        "Nothing can be said of any feature at this checkpoint.",
    )
