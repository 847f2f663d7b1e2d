"""The exporter shows what Postgres holds now, exactly, and nothing when it cannot know."""

from datetime import timedelta

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from sqlalchemy import select

from app.core.clock import now
from app.core.database import Database
from app.evaluations.tables import Evaluation
from app.exporter.repository import MAX_WATCHED
from app.exporter.server import Exporter
from app.exporter.take import wilson
from app.monitors.page_budget import reserve
from app.monitors.policy import DriftPolicy
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint
from tests.integration.exporter.rows import (
    NOON,
    add_evaluation,
    add_monitor,
    add_verdict,
    judge_by_hand,
)
from tests.integration.exporter.scraping import Samples, named, scrape


def test_every_sample_is_what_the_rows_say(exporter: Exporter, database: Database) -> None:
    judge_by_hand(database)

    samples = scrape(exporter)

    ids = {"model": "support-bot", "monitor": "nightly"}

    def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
        return f"featuredrift_{name}", frozenset((ids | labels).items())

    lower, upper = wilson(1, 2)
    with database.unit_of_work() as session:
        registered = session.scalars(
            select(Checkpoint.created_at).where(Checkpoint.name == "v2")
        ).one()
    expected: Samples = {
        key("evaluated_checkpoint_registered_timestamp_seconds"): registered.timestamp(),
        key("drifted_features_ratio", comparison="baseline"): 0.5,
        key("drifted_features_ratio_lower", comparison="baseline"): lower,
        key("drifted_features_ratio_upper", comparison="baseline"): upper,
        key("drifted_features_ratio", comparison="previous"): 0.0,
        key("drifted_features_ratio_lower", comparison="previous"): 0.0,
        key("drifted_features_ratio_upper", comparison="previous"): wilson(0, 1)[1],
        key("feature_firing_ratio", feature="quotes"): 0.25,
        key("feature_firing_ratio", feature="digits"): 0.5,
        key("feature_concept_auroc", feature="quotes"): 0.75,
        key("feature_verdict", feature="quotes", verdict="drifted"): 1.0,
        key("feature_verdict", feature="digits", verdict="stable"): 1.0,
        key("dictionary_fvu_ratio", dictionary="sae-4"): 0.125,
        key("dictionary_l0", dictionary="sae-4"): 16.0,
        key("control_failed", control="no_op"): 1.0,
        key("control_failed", control="numerics"): 0.0,
        key("feature_paged", feature="quotes"): 0.0,
        key("feature_paged", feature="digits"): 0.0,
        key("feature_slow_drift", feature="quotes"): 0.0,
        key("feature_slow_drift", feature="digits"): 0.0,
        key("dictionary_stale", dictionary="sae-4"): 0.0,
        key("evaluation_invalid"): 0.0,
        key("evaluation_failed"): 0.0,
        key("gate", gate="fail"): 1.0,
        key("alerts", severity="page", state="open"): 0.0,
        key("alerts", severity="page", state="acknowledged"): 0.0,
        key("alerts", severity="warning", state="open"): 0.0,
        key("alerts", severity="warning", state="acknowledged"): 0.0,
        key("page_budget_remaining_ratio"): 1.0,
        key("paged_features", comparison="baseline"): 0.0,
        key("paged_features", comparison="previous"): 0.0,
        key("slow_drift_features", comparison="baseline"): 0.0,
        key("slow_drift_features", comparison="previous"): 0.0,
        key("evaluations_total", status="succeeded"): 2.0,
        key("evaluations_total", status="failed"): 1.0,
        key("evaluations_total", status="cancelled"): 0.0,
        key("evaluations_open", state="queued"): 1.0,
        key("evaluations_open", state="running"): 0.0,
        key("evaluation_last_success_timestamp_seconds"): (
            NOON + timedelta(hours=1, seconds=42)
        ).timestamp(),
    }
    for comparison, counts in (
        ("baseline", {"drifted": 1, "stable": 1, "insufficient": 1}),
        ("previous", {"stable": 1}),
    ):
        for verdict in (
            *("stable", "drifted", "inconclusive"),
            *("insufficient", "untrusted", "invalid"),
        ):
            expected[key("features", comparison=comparison, verdict=verdict)] = float(
                counts.get(verdict, 0)
            )
    measured = {
        sample: value
        for sample, value in samples.items()
        if dict(sample[1]).get("monitor") == "nightly"
        and not sample[0].startswith("featuredrift_evaluation_duration")
        and not sample[0].endswith("_info")
    }
    assert measured == expected


def test_the_checkpoint_stands_in_info_series_alone(exporter: Exporter, database: Database) -> None:
    judge_by_hand(database)

    samples = scrape(exporter)

    checkpoints = named(samples, "checkpoint_info", "model", "checkpoint", "digest")
    aliases = named(samples, "alias_info", "model", "alias", "checkpoint", "digest")
    assert checkpoints == {("support-bot", "v2", "w-v2"): 1.0}
    assert aliases == {("support-bot", "production", "v1", "w-v1"): 1.0}
    assert named(samples, "evaluation_info", "monitor", "checkpoint", "baseline") == {
        ("nightly", "v2", "v1"): 1.0
    }
    assert {name for name, labels in samples if "checkpoint" in dict(labels)} == {
        *("featuredrift_checkpoint_info", "featuredrift_alias_info"),
        "featuredrift_evaluation_info",
    }


def test_durations_are_a_histogram_of_what_has_ended(
    exporter: Exporter, database: Database
) -> None:
    judge_by_hand(database)

    samples = scrape(exporter)

    buckets = named(samples, "evaluation_duration_seconds_bucket", "status", "le")
    succeeded = {le: count for (status, le), count in buckets.items() if status == "succeeded"}
    assert succeeded == {
        "1.0": 0,
        "5.0": 1,
        "15.0": 1,
        "60.0": 2,
        "300.0": 2,
        "900.0": 2,
        "1800.0": 2,
        "3600.0": 2,
        "7200.0": 2,
        "21600.0": 2,
        "+Inf": 2,
    }
    assert buckets["failed", "7200.0"] == 0
    assert buckets["failed", "21600.0"] == 1
    assert named(samples, "evaluation_duration_seconds_sum", "status") == {
        ("succeeded",): 45.0,
        ("failed",): 7200.5,
    }


def test_the_ledger_shows_what_waits(exporter: Exporter, database: Database) -> None:
    judge_by_hand(database)

    samples = scrape(exporter)

    assert named(samples, "shards", "state") == {("queued",): 1.0, ("running",): 0.0}
    assert named(samples, "exporter_left_out", "kind") == {("monitors",): 0, ("dictionaries",): 0}
    assert 90 <= named(samples, "outbox_oldest_age_seconds")[()] < 150
    assert 90 <= named(samples, "shards_oldest_queued_age_seconds")[()] < 150


def test_the_summary_of_the_pipeline_wins_over_the_rows_it_has_kept(
    exporter: Exporter, database: Database
) -> None:
    """Of a whole dictionary, Postgres holds the first rows only."""
    baseline = {
        "counts": {"drifted": 10, "stable": 990},
        "drifted_ratio": 0.01,
        "drifted_lower": 0.005,
        "drifted_upper": 0.018,
    }
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=[])
        evaluation = add_evaluation(
            session, monitor, "v2", summary={"comparisons": {"baseline": baseline}}
        )
        add_verdict(session, evaluation, "latent-7", "drifted", drift_score=0.5)
        add_verdict(session, evaluation, "latent-9", "drifted", drift_score=1.0)

    samples = scrape(exporter)

    counts = named(samples, "features", "comparison", "verdict")
    assert counts["baseline", "drifted"] == 10
    assert counts["baseline", "stable"] == 990
    assert named(samples, "drifted_features_ratio_upper", "comparison") == {("baseline",): 0.018}
    assert named(samples, "drift_score_quantile", "q") == {
        ("0.1",): pytest.approx(0.55),
        ("0.5",): 0.75,
        ("0.9",): pytest.approx(0.95),
        ("0.99",): pytest.approx(0.995),
    }


def test_no_label_outlives_what_it_named(exporter: Exporter, database: Database) -> None:
    judge_by_hand(database)
    before = scrape(exporter)
    with database.unit_of_work() as session:
        monitor = session.query(Monitor).one()
        monitor.watchlist = ["digits"]
        line = {"model_id": monitor.model_id, "source": "/models/v3", "weights_digest": "w-v3"}
        session.add(Checkpoint(name="v3", **line))
        session.flush()
        newer = add_evaluation(session, monitor, "v3", after=timedelta(hours=2))
        add_verdict(session, newer, "digits", "inconclusive")

    after = scrape(exporter)

    assert named(before, "feature_verdict", "feature", "verdict") == {
        ("quotes", "drifted"): 1.0,
        ("digits", "stable"): 1.0,
    }
    assert named(after, "feature_verdict", "feature", "verdict") == {("digits", "inconclusive"): 1}
    assert named(after, "checkpoint_info", "checkpoint") == {("v3",): 1.0}
    assert named(after, "control_failed", "control") == {}
    assert named(after, "dictionary_l0", "dictionary") == {}


def test_a_failed_or_running_evaluation_leaves_the_last_good_values(
    exporter: Exporter, database: Database
) -> None:
    judge_by_hand(database)
    before = named(scrape(exporter), "feature_verdict", "feature", "verdict")
    with database.unit_of_work() as session:
        monitor = session.query(Monitor).one()
        for state in ("failed", "running", "cancelled"):
            worse = add_evaluation(session, monitor, "v2", state=state, after=timedelta(hours=3))
            add_verdict(session, worse, "digits", "invalid")

    assert len(before) == 2
    assert named(scrape(exporter), "feature_verdict", "feature", "verdict") == before


def test_a_disabled_monitor_has_no_values(exporter: Exporter, database: Database) -> None:
    judge_by_hand(database)
    with database.unit_of_work() as session:
        session.query(Monitor).one().enabled = False

    samples = scrape(exporter)

    assert named(samples, "features", "verdict") == {}
    assert named(samples, "evaluations_total", "status")[("succeeded",)] == 2


def test_a_retry_does_not_make_a_counter_fall(exporter: Exporter, database: Database) -> None:
    judge_by_hand(database)
    scrape(exporter)
    with database.unit_of_work() as session:
        failed = session.query(Evaluation).filter_by(state="failed").one()
        failed.state, failed.finished_at = "queued", None

    samples = scrape(exporter)

    assert named(samples, "evaluations_total", "status")[("failed",)] == 1
    assert named(samples, "evaluations_open", "state")[("queued",)] == 2


def test_only_the_first_of_a_long_watchlist_have_series(
    exporter: Exporter, database: Database
) -> None:
    names = [f"feature-{number}" for number in range(MAX_WATCHED + 5)]
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=names)
        evaluation = add_evaluation(session, monitor, "v2")
        for name in names:
            add_verdict(session, evaluation, name, "stable")

    watched = named(scrape(exporter), "feature_verdict", "feature")

    assert set(watched) == {(name,) for name in names[:MAX_WATCHED]}


def test_hostile_names_are_escaped_in_both_formats(exporter: Exporter, database: Database) -> None:
    name = 'a"b\\c\nd} 1\n# HELP é'
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=[name])
        evaluation = add_evaluation(session, monitor, "v2")
        add_verdict(session, evaluation, name, "stable", firing_ratio_candidate=0.5)

    samples = scrape(exporter)
    body, content_type = exporter.render("application/openmetrics-text; version=1.0.0")

    assert named(samples, "feature_firing_ratio", "feature") == {(name,): 0.5}
    assert content_type.startswith("application/openmetrics-text")
    values = {
        sample.labels["feature"]: sample.value
        for family in parse_openmetrics(body.decode())
        for sample in family.samples
        if sample.name == "featuredrift_feature_firing_ratio"
    }
    assert values == {name: 0.5}


def test_pages_slow_drift_and_what_is_left_of_the_budget(
    exporter: Exporter, database: Database
) -> None:
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=["quotes"])
        evaluation = add_evaluation(session, monitor, "v2")
        add_verdict(session, evaluation, "quotes", "drifted", paged=True, drift_score=0.5)
        add_verdict(session, evaluation, "digits", "stable", slow_drift=True, drift_score=0.25)
        # The budget is of the present quarter, in which the ledger's own clock says it was made.
        evaluation.created_at = now()
        alpha = reserve(session, evaluation, DriftPolicy()).alpha
        disabled = add_monitor(session, model="other", monitor="off", watch=[])
        disabled.enabled = False

    samples = scrape(exporter)

    assert named(samples, "paged_features", "comparison") == {("baseline",): 1}
    assert named(samples, "slow_drift_features", "comparison") == {("baseline",): 1}
    assert named(samples, "feature_drift_score", "feature") == {("quotes",): 0.5}
    assert named(samples, "page_budget_remaining_ratio", "monitor") == {
        ("nightly",): pytest.approx(1 - alpha / 0.05)
    }


def test_figures_of_all_latents_win_over_those_of_the_stored_rows(
    exporter: Exporter, database: Database
) -> None:
    figures = {
        "counts": {"stable": 1000},
        "paged": 3,
        "slow_drift": 2,
        "drift_score_quantiles": {"0.1": 0.0, "0.5": 0.01, "0.9": 0.02, "0.99": 0.5},
    }
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=[])
        evaluation = add_evaluation(
            session, monitor, "v2", summary={"comparisons": {"baseline": figures}}
        )
        add_verdict(session, evaluation, "latent-7", "stable", drift_score=0.9)

    samples = scrape(exporter)

    assert named(samples, "paged_features") == {(): 3}
    assert named(samples, "slow_drift_features") == {(): 2}
    assert named(samples, "drift_score_quantile", "q") == {
        ("0.1",): 0.0,
        ("0.5",): 0.01,
        ("0.9",): 0.02,
        ("0.99",): 0.5,
    }
