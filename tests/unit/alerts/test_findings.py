"""What the person who is woken reads."""

from typing import Any

import pytest

from app.alerts.findings import (
    Where,
    control_finding,
    evaluation_finding,
    feature_finding,
    recovery_finding,
    sentence,
    stale_finding,
)
from app.reports.words import ESTIMANDS
from app.verdicts.tables import Control, Verdict

WHERE = Where("019ab7d2-5c00-7000-8000-000000000003", "c2", "base", "bot")


def row(feature: str = "phone", **columns: Any) -> Verdict:
    """A verdict with figures."""
    values: dict[str, Any] = {
        "verdict": "drifted",
        "reason": "it moved.",
        "estimand": "identity_sparse",
        "effect": 0.4123,
        "lower": 0.35,
        "upper": 0.47,
        "margin": 0.2,
        "paged": False,
        "slow_drift": False,
    }
    return Verdict(feature=feature, **(values | columns))


def test_a_drift_is_told_in_words_with_figures_and_diagnosis() -> None:
    found = feature_finding(row(paged=True, diagnosis="lost"), WHERE)
    assert (found.outlook, found.condition, found.severity) == ("alarm", "drifted", "page")
    assert sentence("feature", "phone", found.said, since="c1", now="c2") == (
        "Feature 'phone' has drifted in checkpoint 'c2' of model 'bot' against 'base': 41.2% of "
        "the tokens that it fires on, before or now, are not the same, 2.06 times the margin of "
        "20% (interval 35% to 47%); diagnosis lost: no linear read-out of the site recovers it "
        "(since checkpoint 'c1')."
    )


def test_what_has_fallen_silent_is_told_in_documents() -> None:
    reason = "Fired in 31 documents at the baseline and in none now."
    found = feature_finding(row(change="dead", estimand="rate", reason=reason), WHERE)
    assert ": it fired in 31 documents at the baseline and in none now; not diagnosed" in found.said


@pytest.mark.parametrize("estimand", sorted(ESTIMANDS))
def test_nobody_is_woken_with_the_name_of_an_estimand(estimand: str) -> None:
    for verdict in ("drifted", "stable"):
        said = feature_finding(row(estimand=estimand, verdict=verdict), WHERE).said
        assert "_" not in said
        assert f"{estimand} is" not in said


def test_ratios_are_told_as_ratios() -> None:
    numbers = {"effect": 0.7419, "lower": 0.6931, "upper": 0.8, "margin": 0.2231}
    said = feature_finding(row(estimand="rate", **numbers), WHERE).said
    assert "it fires ×2.1 as often, beyond the margin of ×1.25 either way" in said
    assert "(interval ×2 to ×2.23)" in said


def test_a_verdict_without_an_interval_is_told_by_its_reason() -> None:
    found = feature_finding(row(estimand="rate", effect=None, reason="It fell silent."), WHERE)
    assert found.said.endswith("against 'base': It fell silent; not diagnosed")


def test_a_slow_drift_is_told_with_its_level_and_bound() -> None:
    trend = {"level": 0.1234, "limit": 0.1}
    found = feature_finding(row(verdict="inconclusive", slow_drift=True, trend=trend), WHERE)
    assert (found.condition, found.stable) == ("slow_drift", False)
    assert "has left its bound (0.123, bound 0.1); the comparison itself is inconclusive:" in (
        found.said
    )
    assert feature_finding(row(verdict="stable", slow_drift=True), WHERE).stable


@pytest.mark.parametrize("flag", ["paged", "slow_drift"])
def test_of_an_invalid_feature_no_flag_counts(flag: str) -> None:
    assert feature_finding(row(verdict="invalid", **{flag: True}), WHERE).outlook == "undecided"


def test_a_sentence_ends_once_and_stays_readable() -> None:
    told = sentence("feature", "phone", "is " + "x" * 5000)
    assert len(told) <= 1001
    assert told.endswith("….")
    assert sentence("evaluation", "", "of checkpoint 'c2' failed", since="c2", now="c2") == (
        "The evaluation of checkpoint 'c2' failed."
    )


@pytest.mark.parametrize(
    ("passed", "outlook"), [(True, "clear"), (False, "alarm"), (None, "undecided")]
)
def test_a_control_that_cannot_be_told_is_neither(passed: bool | None, outlook: str) -> None:
    found = control_finding(
        Control(control="numerics", passed=passed, detail="so it is.", figures={}),
        WHERE,
        ["a", "b"],
    )
    assert found.outlook == outlook
    assert found.evidence["features"] == ["a", "b"]


def test_a_stale_dictionary_is_well_when_everything_that_showed_it_is_accounted_for() -> None:
    stale = stale_finding("layer-2", [row("a"), row("b")], WHERE)
    assert stale.evidence["features"] == ["a", "b"]

    def outlook(**rows: Verdict) -> str:
        return recovery_finding("layer-2", ["a", "b"], rows, WHERE).outlook

    assert outlook(a=row("a", verdict="stable"), b=row("b", diagnosis="relocated")) == "clear"
    assert outlook(a=row("a", verdict="stable")) == "clear"
    assert outlook(a=row("a", verdict="inconclusive")) == "undecided"
    assert outlook(a=row("a", verdict="stable"), b=row("b", diagnosis="lost")) == "undecided"


def test_an_evaluation_is_failed_invalid_or_valid() -> None:
    failed = evaluation_finding(WHERE, {"code": "unreadable", "detail": "no file."}, None)
    assert failed.said == "of checkpoint 'c2' of model 'bot' failed: no file"
    assert failed.evidence["code"] == "unreadable"
    assert evaluation_finding(WHERE, {}, None).said.endswith("no reason is recorded")
    invalid = evaluation_finding(WHERE, None, "The tokenizers differ.")
    assert (invalid.outlook, invalid.evidence["outcome"]) == ("alarm", "invalid")
    assert evaluation_finding(WHERE, None, None).outlook == "clear"
