"""The formula of docs/metrics.md, which `sample_limit` is set by, counts what is exported."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from app.alerts.tables import SEVERITIES
from app.exporter.reading import (
    DURATION_BOUNDS,
    Activity,
    CheckpointInfo,
    Comparison,
    Drift,
    Durations,
    Health,
    Latest,
    MonitorKey,
    Reading,
    WatchedFeature,
)
from app.exporter.repository import MAX_ALIASES, MAX_DICTIONARIES, MAX_WATCHED
from app.exporter.take import QUANTILES, UNRESOLVED
from app.exporter.values import values
from app.exporter.work import work
from app.verdicts.tables import COMPARISONS, CONTROLS, VERDICTS

PAGE = Path(__file__).parents[3] / "docs/metrics.md"
DRIFT = Drift("identity", "identity_sparse", "lost", 2.0)
ENDED = ("succeeded", "failed", "cancelled")
MOMENT = datetime(2026, 11, 22, tzinfo=UTC)


def fullest(key: MonitorKey, watched: int, dictionaries: int, controls: int) -> Latest:
    """An evaluation that leaves no figure out."""
    comparison = {
        "verdicts": dict.fromkeys(VERDICTS, 1),
        "ratio": (0.5, 0.4, 0.6),
        "score_quantiles": {str(q): q for q in QUANTILES},
    }
    return Latest(
        key,
        evaluation="e",
        checkpoint="v2",
        registered=MOMENT,
        digest="d",
        baseline="v1",
        comparisons=tuple(
            Comparison(name, **comparison, paged=1, slow_drift=1) for name in COMPARISONS
        ),
        features=tuple(
            WatchedFeature(
                f"f{n}", "drifted", 0.1, 0.9, 0.0, paged=True, slow_drift=False, drift=DRIFT
            )
            for n in range(watched)
        ),
        dictionaries=tuple(
            Health(f"sae-{n}", 0.1, 16.0, 0.0, stale=False) for n in range(dictionaries)
        ),
        controls=dict.fromkeys(CONTROLS[:controls], True),
    )


def busiest(key: MonitorKey) -> Activity:
    """A monitor whose evaluations have ended in every way."""
    durations = Durations((1,) * (len(DURATION_BOUNDS) + 1), 1.0)
    return Activity(
        key,
        page_budget_remaining=1.0,
        states=dict.fromkeys((*ENDED, "queued", "running"), 1),
        durations=dict.fromkeys(ENDED, durations),
        last_success=MOMENT,
        newest_failed=False,
        gate="pass",
        unjudged_since=MOMENT,
        alerts={(severity, state): 1 for severity in SEVERITIES for state in UNRESOLVED},
    )


def series(monitors: int, models: int, watched: int, dictionaries: int, controls: int) -> int:
    """How many samples a fleet has at most, the exporter's own aside."""
    keys = [MonitorKey(f"model-{n % models}", f"monitor-{n}") for n in range(monitors)]
    names = sorted({key.model for key in keys})
    reading = Reading(
        latest=tuple(fullest(key, watched, dictionaries, controls) for key in keys),
        activity=tuple(busiest(key) for key in keys),
        newest_checkpoints=tuple(CheckpointInfo(name, "v2", "d") for name in names),
        aliases=tuple(
            CheckpointInfo(name, "v1", "d", f"alias-{n}")
            for name in names
            for n in range(MAX_ALIASES)
        ),
        registered=dict.fromkeys(names, MOMENT),
        outbox_oldest_age=0.0,
        shards={"queued": 0, "running": 0},
        shards_oldest_queued_age=0.0,
        webhook_deliveries={"pending": 0, "failed": 0},
        left_out={"monitors": 0, "dictionaries": 0},
        snapshots=dict.fromkeys(names, (1, 1)),
    )
    finished = {(key.model, key.monitor, status): 1 for key in keys for status in ENDED}
    families = (*values(reading), *work(reading, finished))
    return sum(len(metric.samples) for metric in families)


MODEL, DEPLOYMENT = MAX_ALIASES + 4, 8


@pytest.mark.parametrize(("w", "d", "c"), [(0, 0, 0), (3, 2, 6), (200, 20, 6)])
def test_a_monitor_has_as_many_series_as_the_page_says(w: int, d: int, c: int) -> None:
    assert "**7w + 4d + c + 86**" in PAGE.read_text()
    assert f"A model adds at most {MODEL}" in PAGE.read_text()

    assert series(1, 1, w, d, c) == 7 * w + 4 * d + c + 86 + MODEL + DEPLOYMENT


def test_the_suggested_limit_admits_the_fleet_that_it_is_suggested_for() -> None:
    jobs = yaml.safe_load((PAGE.parents[1] / "deploy/prometheus/prometheus.yml").read_text())
    limit = jobs["scrape_configs"][0]["sample_limit"]
    monitor = 7 * MAX_WATCHED + 4 * MAX_DICTIONARIES + len(CONTROLS) + 86

    assert 50 * 4 * monitor + 50 * MODEL + DEPLOYMENT + 100 < limit
