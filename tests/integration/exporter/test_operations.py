"""What someone on call is told: failures, staleness, the gate, alerts, waiting work."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app.alerts.tables import Alert
from app.core.database import Database
from app.exporter.server import Exporter
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Dictionary, Model
from app.verdicts.service import gate_of
from app.webhooks.tables import Delivery, Webhook
from tests.integration.exporter.rows import (
    NOON,
    add_control,
    add_evaluation,
    add_health,
    add_monitor,
    add_shard,
    add_verdict,
)
from tests.integration.exporter.scraping import Samples, named, scrape


def make_alert(monitor: Monitor, subject: str, severity: str, state: str) -> Alert:
    """An alert on a feature, as it stands after somebody has or has not taken it on."""
    taken = {
        "acknowledged_at": NOON,
        "acknowledged_by": "ada",
    }
    return Alert(
        monitor_id=monitor.id,
        subject_kind="feature",
        subject=subject,
        condition="drifted",
        severity=severity,
        state=state,
        resolved_at=NOON if state == "resolved" else None,
        detail="by hand",
        evidence={},
        **(taken if state == "acknowledged" else {}),
    )


@pytest.mark.parametrize(
    ("states", "failed"),
    [
        ((), None),
        (("running",), None),
        (("succeeded",), 0),
        (("succeeded", "failed"), 1),
        (("failed", "succeeded"), 0),
        (("failed", "cancelled"), 1),
        (("succeeded", "failed", "queued"), 1),
    ],
)
def test_a_monitor_has_failed_while_its_newest_outcome_is_a_failure(
    states: tuple[str, ...], failed: int | None, exporter: Exporter, database: Database
) -> None:
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=[])
        for hour, state in enumerate(states):
            add_evaluation(session, monitor, "v2", state=state, after=timedelta(hours=hour))

    shown = named(scrape(exporter), "evaluation_failed", "monitor")

    assert shown == ({} if failed is None else {("nightly",): failed})


@pytest.mark.parametrize(
    ("verdicts", "invalid"),
    [((), 0), (("invalid", "invalid"), 1), (("invalid", "stable"), 0), (("untrusted",), 0)],
)
def test_an_evaluation_is_invalid_when_all_its_verdicts_are(
    verdicts: tuple[str, ...], invalid: int, exporter: Exporter, database: Database
) -> None:
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=[])
        evaluation = add_evaluation(session, monitor, "v2")
        for number, verdict in enumerate(verdicts):
            add_verdict(session, evaluation, f"feature-{number}", verdict)

    assert named(scrape(exporter), "evaluation_invalid", "monitor") == {("nightly",): invalid}


def test_watched_features_show_pages_and_slow_drift(exporter: Exporter, database: Database) -> None:
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=["quotes", "digits"])
        evaluation = add_evaluation(session, monitor, "v2")
        add_verdict(session, evaluation, "quotes", "drifted", paged=True)
        add_verdict(session, evaluation, "digits", "stable", slow_drift=True)
        add_verdict(session, evaluation, "unwatched", "drifted", paged=True)

    samples = scrape(exporter)

    assert named(samples, "feature_paged", "feature") == {("quotes",): 1, ("digits",): 0}
    assert named(samples, "feature_slow_drift", "feature") == {("quotes",): 0, ("digits",): 1}


def test_a_dictionary_is_stale_when_a_diagnosis_blames_it(
    exporter: Exporter, database: Database
) -> None:
    """A watched dictionary's latents are no rows of `features`: the monitor says which it is."""
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=[])
        watched = Dictionary(name="sae-4", site="blocks.4.hook_resid_post")
        session.add(watched)
        session.flush()
        evaluation = add_evaluation(session, monitor, "v2")
        evaluation.dictionary_id = watched.id
        add_verdict(session, evaluation, "latent-7", "drifted", diagnosis="dictionary_stale")
        add_verdict(session, evaluation, "latent-8", "drifted", diagnosis="rotated")
        add_health(session, evaluation, "sae-4", fvu=0.9)
        add_health(session, evaluation, "sae-5", fvu=0.1)

    assert named(scrape(exporter), "dictionary_stale", "dictionary") == {
        ("sae-4",): 1,
        ("sae-5",): 0,
    }


HELD = {
    "comparisons": {
        "baseline": {
            "stable_by_benign_floor": {
                "features": ["feature-0"],
                "count": 1,
                "checkpoints": ["v1"],
            }
        }
    }
}
GATES: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "pending": ("running", ("stable",), {}),
    "fail": ("succeeded", ("drifted", "stable"), {}),
    "pass": ("succeeded", ("stable", "stable"), {}),
    "unproven": ("succeeded", ("stable", "insufficient"), {}),
    "failed": ("failed", (), {}),
    "cancelled": ("cancelled", (), {}),
    "empty": ("succeeded", (), {}),
    "no_op": ("succeeded", ("stable",), {"control": False}),
    "slow": ("succeeded", ("stable",), {"slow": True}),
    "drifted and slow": ("succeeded", ("drifted",), {"slow": True}),
    "held by a benign mark": ("succeeded", ("stable",), {"summary": HELD}),
}


EXPECTED = {"drifted and slow": "fail"} | dict.fromkeys(
    ("unproven", "failed", "cancelled", "empty", "no_op", "slow", "held by a benign mark"),
    "inconclusive",
)


@pytest.mark.parametrize("case", GATES)
def test_the_gate_is_what_the_api_answers(
    case: str, exporter: Exporter, database: Database
) -> None:
    state, verdicts, flags = GATES[case]
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=[])
        # An older, better answer must not stand for the newest.
        older = add_evaluation(session, monitor, "v1")
        add_verdict(session, older, "feature-0", "stable")
        newest = add_evaluation(
            session,
            monitor,
            "v2",
            state=state,
            after=timedelta(hours=1),
            summary=flags.get("summary"),
        )
        for number, verdict in enumerate(verdicts):
            slow = flags.get("slow", False)
            add_verdict(session, newest, f"feature-{number}", verdict, slow_drift=slow)
        if "control" in flags:
            add_control(session, newest, passed=flags["control"])

    with database.unit_of_work() as session:
        model = session.query(Model).one()
        answer = gate_of(session, model, session.query(Checkpoint).filter_by(name="v2").one()).gate

    shown = named(scrape(exporter), "gate", "monitor", "gate")

    assert answer == (case if case in ("pending", "fail", "pass") else EXPECTED[case])
    assert shown == {("nightly", answer): 1}


def test_another_look_at_an_older_checkpoint_says_nothing_of_the_newest(
    exporter: Exporter, database: Database
) -> None:
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=["mail"])
        newest = add_evaluation(session, monitor, "v2")
        add_verdict(session, newest, "mail", "drifted", paged=True)
        older = add_evaluation(session, monitor, "v1", after=timedelta(hours=1))
        add_verdict(session, older, "mail", "stable")
        add_evaluation(session, monitor, "v1", state="failed", after=timedelta(hours=2))

    samples = scrape(exporter)

    assert named(samples, "feature_paged", "feature") == {("mail",): 1}
    assert named(samples, "evaluation_info", "checkpoint") == {("v2",): 1}
    assert named(samples, "checkpoint_info", "checkpoint") == {("v2",): 1}
    assert named(samples, "evaluation_failed", "monitor") == {("nightly",): 0}
    assert named(samples, "gate", "gate") == {("fail",): 1}


def test_alerts_are_counted_until_they_are_resolved(exporter: Exporter, database: Database) -> None:
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=[])
        for subject, severity, state in (
            ("a", "page", "open"),
            ("b", "page", "open"),
            ("c", "warning", "acknowledged"),
            ("d", "warning", "resolved"),
        ):
            session.add(make_alert(monitor, subject, severity, state))

    assert named(scrape(exporter), "alerts", "monitor", "severity", "state") == {
        ("nightly", "page", "open"): 2,
        ("nightly", "page", "acknowledged"): 0,
        ("nightly", "warning", "open"): 0,
        ("nightly", "warning", "acknowledged"): 1,
    }


def test_the_newest_checkpoint_says_when_there_was_something_to_measure(
    exporter: Exporter, database: Database
) -> None:
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=[])
        for name, hour in (("v1", 1), ("v2", 2)):
            session.execute(
                update(Checkpoint)
                .where(Checkpoint.model_id == monitor.model_id, Checkpoint.name == name)
                .values(created_at=NOON + timedelta(hours=hour))
            )

    shown = named(scrape(exporter), "checkpoint_registered_timestamp_seconds", "model")

    assert shown == {("support-bot",): (NOON + timedelta(hours=2)).timestamp()}


def test_another_look_at_an_older_checkpoint_does_not_stand_for_the_newest(
    exporter: Exporter, database: Database
) -> None:
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=[])
        for name, hour in (("v1", 1), ("v2", 2)):
            session.execute(
                update(Checkpoint)
                .where(Checkpoint.model_id == monitor.model_id, Checkpoint.name == name)
                .values(created_at=NOON + timedelta(hours=hour))
            )
        newest = Checkpoint(model_id=monitor.model_id, name="v3", source="/models/v3")
        newest.created_at = NOON + timedelta(hours=3)
        session.add(newest)
        session.flush()
        add_evaluation(session, monitor, "v2", state="failed")
        add_evaluation(session, monitor, "v1", state="succeeded")

    judged = "evaluated_checkpoint_registered_timestamp_seconds"

    # The first that waits, however many come after it.
    waits = "unjudged_checkpoint_registered_timestamp_seconds"

    def hours(samples: Samples, name: str) -> float | None:
        found = named(samples, name, "model", "monitor").get(("support-bot", "nightly"))
        return None if found is None else (found - NOON.timestamp()) / 3600

    samples = scrape(exporter)
    assert (hours(samples, judged), hours(samples, waits)) == (1, 2)

    with database.unit_of_work() as session:
        add_evaluation(session, monitor, "v2", state="succeeded")
        add_evaluation(session, monitor, "v1", state="succeeded")

    samples = scrape(exporter)
    assert (hours(samples, judged), hours(samples, waits)) == (2, 3)

    with database.unit_of_work() as session:
        add_evaluation(session, monitor, "v3", state="succeeded")
        add_evaluation(session, monitor, "v1", state="succeeded")

    samples = scrape(exporter)
    assert (hours(samples, judged), hours(samples, waits)) == (3, None)


def test_a_message_that_is_not_due_yet_is_not_stuck(exporter: Exporter, database: Database) -> None:
    """A failed attempt waits on purpose before it is tried again."""
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=[])
        add_shard(session, add_evaluation(session, monitor, "v2", state="queued"), waiting=-300)

    samples = scrape(exporter)

    assert named(samples, "outbox_oldest_age_seconds")[()] == 0
    assert named(samples, "shards", "state")[("queued",)] == 1


def test_deliveries_that_wait_and_that_were_given_up_are_counted(
    exporter: Exporter, database: Database
) -> None:
    with database.unit_of_work() as session:
        webhook = Webhook(
            url="https://receiver.example/hook", events=[], models=[], monitors=[], secret="whsec_"
        )
        session.add(webhook)
        session.flush()
        for state in ("pending", "pending", "failed", "delivered"):
            session.add(
                Delivery(
                    webhook_id=webhook.id,
                    message_id="msg",
                    event="alert.opened",
                    body="{}",
                    state=state,
                    finished_at=None if state == "pending" else NOON,
                    log=[],
                )
            )

    assert named(scrape(exporter), "webhook_deliveries", "state") == {
        ("pending",): 2,
        ("failed",): 1,
    }
