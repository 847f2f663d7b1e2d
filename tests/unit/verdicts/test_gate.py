"""The gate decides by what was shown, and says what was not."""

from typing import Any

import pytest

from app.core.ids import new_id
from app.monitors.policy import GatePolicy
from app.verdicts.gate import NAMED_FEATURES, Standing, decide


def standing(monitor: str = "m", **values: Any) -> Standing:
    """A monitor whose newest evaluation found all twelve features stable, with changes."""
    known: dict[str, Any] = {
        "policy": GatePolicy(),
        "evaluation": new_id(),
        "state": "succeeded",
        "counts": {"stable": 12},
    }
    return Standing(monitor, **(known | values))


def test_all_features_stable_is_a_pass_without_reasons() -> None:
    assert decide([standing("a"), standing("b")]) == ("pass", [])


def test_no_monitor_is_inconclusive_because_nothing_was_measured() -> None:
    outcome, (reason,) = decide([])
    assert (outcome, reason.code, reason.monitor) == ("inconclusive", "no_monitor", None)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_an_open_evaluation_makes_everything_pending_even_beside_a_failure(state: str) -> None:
    failing = standing("a", counts={"drifted": 12})
    outcome, reasons = decide([failing, standing("b", state=state, counts={})])
    assert outcome == "pending"
    assert [(reason.monitor, reason.code) for reason in reasons] == [
        ("b", "evaluation_open"),
        ("a", "drifted"),
    ]


def test_a_drifted_feature_fails_and_is_named() -> None:
    outcome, (reason,) = decide(
        [standing(counts={"stable": 11, "drifted": 1}, drifted=["comment"])]
    )
    assert outcome == "fail"
    assert (reason.code, reason.features) == ("drifted", ("comment",))
    assert "1 of 12" in reason.detail


@pytest.mark.parametrize(("drifted", "outcome"), [(1, "pass"), (2, "fail")])
def test_the_policy_says_what_share_may_drift(drifted: int, outcome: str) -> None:
    policy = GatePolicy(max_drifted_ratio=0.1)
    counts = {"stable": 10 - drifted, "drifted": drifted}
    assert decide([standing(policy=policy, counts=counts)])[0] == outcome


def test_features_that_could_not_be_judged_do_not_dilute_the_share_that_drifted() -> None:
    policy = GatePolicy(max_drifted_ratio=0.1, max_unproven_ratio=0.5)
    counts = {"stable": 46, "drifted": 9, "untrusted": 25, "insufficient": 20}
    outcome, (reason,) = decide([standing(policy=policy, counts=counts)])
    assert (outcome, reason.code) == ("fail", "drifted")
    assert "9 of 55 features have drifted" in reason.detail
    assert "45 more could not be judged" in reason.detail


def test_without_a_judged_feature_nothing_has_drifted_and_nothing_is_proven() -> None:
    outcome, reasons = decide([standing(counts={"untrusted": 3})])
    assert (outcome, [reason.code for reason in reasons]) == ("inconclusive", ["unproven"])


@pytest.mark.parametrize("word", ["inconclusive", "insufficient", "untrusted", "invalid"])
def test_what_is_neither_stable_nor_drifted_is_unproven(word: str) -> None:
    outcome, (reason,) = decide([standing(counts={"stable": 11, word: 1}, unproven=["x"])])
    assert (outcome, reason.code, reason.features) == ("inconclusive", "unproven", ("x",))
    assert f"1 {word} of 12" in reason.detail


@pytest.mark.parametrize(("unproven", "outcome"), [(1, "pass"), (2, "inconclusive")])
def test_the_policy_says_what_share_may_stay_unproven(unproven: int, outcome: str) -> None:
    policy = GatePolicy(max_unproven_ratio=0.1)
    counts = {"stable": 10 - unproven, "inconclusive": unproven}
    assert decide([standing(policy=policy, counts=counts)])[0] == outcome


@pytest.mark.parametrize(
    "counts",
    [{"invalid": 3}, {"untrusted": 3}, {"insufficient": 1, "invalid": 2}, {"inconclusive": 3}],
)
def test_no_policy_lets_pass_what_has_shown_nothing(counts: dict[str, int]) -> None:
    policy = GatePolicy(max_drifted_ratio=1.0, max_unproven_ratio=1.0)
    outcome, (reason,) = decide([standing(policy=policy, counts=counts, unproven=["x"])])
    assert (outcome, reason.code, reason.features) == ("inconclusive", "unproven", ("x",))
    assert "no policy lets pass" in reason.detail
    proven = {**counts, "stable": 1}
    assert decide([standing(policy=policy, counts=proven)]) == ("pass", [])


def test_drift_outweighs_what_is_unproven_and_both_are_told() -> None:
    counts = {"stable": 10, "drifted": 1, "invalid": 1}
    outcome, reasons = decide([standing(counts=counts)])
    assert outcome == "fail"
    assert [reason.code for reason in reasons] == ["drifted", "unproven"]


def test_drift_in_one_monitor_outweighs_a_failed_evaluation_of_another() -> None:
    failed = standing("a", state="failed", trouble="no such file", counts={})
    outcome, reasons = decide([failed, standing("b", counts={"drifted": 1})])
    assert outcome == "fail"
    assert [reason.code for reason in reasons] == ["drifted", "evaluation_failed"]
    assert "no such file" in reasons[1].detail


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("failed", "evaluation_failed"),
        ("cancelled", "evaluation_cancelled"),
        (None, "not_evaluated"),
    ],
)
def test_what_was_not_measured_is_inconclusive(state: str | None, code: str) -> None:
    outcome, (reason,) = decide([standing(state=state, counts={}, trouble="because")])
    assert (outcome, reason.code) == ("inconclusive", code)


def test_an_evaluation_without_verdicts_does_not_pass() -> None:
    outcome, (reason,) = decide([standing(counts={})])
    assert (outcome, reason.code) == ("inconclusive", "no_verdicts")


def test_a_failed_control_makes_stable_features_worthless() -> None:
    outcome, (reason,) = decide([standing(failed_controls=["no_op"])])
    assert (outcome, reason.code) == ("inconclusive", "control_failed")


def test_only_the_first_features_are_named() -> None:
    names = [f"f{i}" for i in range(100)]
    _, (reason,) = decide([standing(counts={"drifted": 100}, drifted=names)])
    assert reason.features == tuple(names[:NAMED_FEATURES])


def test_untrusted_features_within_the_policy_do_not_block() -> None:
    policy = GatePolicy(max_unproven_ratio=0.1)
    found = standing(
        policy=policy,
        counts={"stable": 11, "untrusted": 1},
        failed_controls=["randomised_model"],
        unproven=["x"],
        untrusted=["x"],
    )
    assert decide([found]) == ("pass", [])


def test_untrusted_features_beyond_the_policy_are_named_with_their_control() -> None:
    outcome, (control, unproven) = decide(
        [
            standing(
                counts={"stable": 11, "untrusted": 1},
                failed_controls=["randomised_model"],
                unproven=["x"],
                untrusted=["x"],
            )
        ]
    )
    assert outcome == "inconclusive"
    assert (control.code, control.features) == ("control_failed", ("x",))
    assert "randomised_model failed for 1 of 12" in control.detail
    assert unproven.code == "unproven"


@pytest.mark.parametrize(
    ("controls", "counts"),
    [
        (["numerics"], {"stable": 12}),
        (["no_op", "numerics"], {"stable": 11, "untrusted": 1}),
    ],
)
def test_a_failed_control_that_no_feature_answers_for_blocks_whatever_the_policy(
    controls: list[str], counts: dict[str, int]
) -> None:
    policy = GatePolicy(max_unproven_ratio=1.0)
    outcome, (reason,) = decide([standing(policy=policy, counts=counts, failed_controls=controls)])
    assert (outcome, reason.code) == ("inconclusive", "control_failed")
    assert ", ".join(controls) in reason.detail


def test_slow_drift_is_inconclusive_until_something_has_drifted() -> None:
    outcome, (reason,) = decide([standing(slow_drift=["phone"])])
    assert (outcome, reason.code, reason.features) == ("inconclusive", "slow_drift", ("phone",))
    outcome, reasons = decide([standing(counts={"stable": 11, "drifted": 1}, slow_drift=["phone"])])
    assert outcome == "fail"
    assert [reason.code for reason in reasons] == ["drifted", "slow_drift"]


def test_pages_inform_and_do_not_decide() -> None:
    assert decide([standing(pages=["phone"])]) == ("pass", [])


def test_a_reason_names_the_evaluation_and_the_baseline() -> None:
    found = standing(counts={"drifted": 1}, baseline="v1")
    _, (reason,) = decide([found])
    assert (reason.evaluation, reason.baseline) == (found.evaluation, "v1")


def test_stable_by_a_benign_mark_alone_is_inconclusive_and_says_whose_mark() -> None:
    found = standing(held_by_benign=["phone", "mail"], held_count=2, benign=["step-7"])
    outcome, (reason,) = decide([found])
    assert (outcome, reason.code) == ("inconclusive", "benign_floor")
    assert reason.features == ("phone", "mail")
    assert "2 of 12 stable features" in reason.detail
    assert "'step-7'" in reason.detail
    assert "allow_benign_floor" in reason.detail


def test_the_policy_may_accept_what_a_benign_mark_allows() -> None:
    policy = GatePolicy(allow_benign_floor=True)
    found = standing(policy=policy, held_by_benign=["phone"], held_count=1, benign=["step-7"])
    assert decide([found]) == ("pass", [])


def test_a_benign_mark_never_hides_what_has_drifted_all_the_same() -> None:
    found = standing(
        counts={"stable": 11, "drifted": 1}, held_by_benign=["mail"], held_count=1, benign=["s"]
    )
    outcome, reasons = decide([found])
    assert (outcome, [reason.code for reason in reasons]) == ("fail", ["drifted", "benign_floor"])


def test_a_drift_names_the_checkpoint_that_it_is_a_drift_from() -> None:
    _, (reason,) = decide([standing(counts={"drifted": 1}, baseline="v1")])
    assert "from the baseline 'v1'" in reason.detail
