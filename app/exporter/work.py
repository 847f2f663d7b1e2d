"""Metrics of what the service is doing."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from app.exporter.families import MONITOR, gauge
from app.exporter.reading import DURATION_BOUNDS, Reading
from app.exporter.refresher import Finished


def work(reading: Reading, finished: Finished) -> Iterator[Metric]:
    """What the service is doing."""
    total = CounterMetricFamily(
        "featuredrift_evaluations",
        "Evaluations that have ended, by outcome.",
        labels=(*MONITOR, "status"),
    )
    for key, count in finished.items():
        total.add_metric(key, count)
    yield total
    yield gauge(
        "evaluations_open",
        "Evaluations that wait or run.",
        (*MONITOR, "state"),
        (
            ((entry.key.model, entry.key.monitor, state), entry.states.get(state, 0))
            for entry in reading.activity
            for state in ("queued", "running")
        ),
    )
    duration = HistogramMetricFamily(
        "featuredrift_evaluation_duration_seconds",
        "From an evaluation's start to its end.",
        labels=(*MONITOR, "status"),
    )
    bounds = (*(str(float(bound)) for bound in DURATION_BOUNDS), "+Inf")
    for entry in reading.activity:
        for status, durations in entry.durations.items():
            duration.add_metric(
                (entry.key.model, entry.key.monitor, status),
                buckets=list(zip(bounds, durations.counts, strict=True)),
                sum_value=durations.total,
            )
    yield duration
    yield gauge(
        "evaluation_last_success_timestamp_seconds",
        "When an evaluation of the monitor last succeeded.",
        MONITOR,
        (
            ((entry.key.model, entry.key.monitor), entry.last_success.timestamp())
            for entry in reading.activity
            if entry.last_success is not None
        ),
    )
    yield gauge(
        "evaluation_failed",
        "1 when the monitor's newest evaluation that ended by itself failed, 0 when it succeeded.",
        MONITOR,
        (((entry.key.model, entry.key.monitor), entry.newest_failed) for entry in reading.activity),
    )
    yield gauge(
        "gate",
        "1 for what the monitor's newest evaluation says of its checkpoint.",
        (*MONITOR, "gate"),
        (
            ((entry.key.model, entry.key.monitor, entry.gate), 1.0)
            for entry in reading.activity
            if entry.gate is not None
        ),
    )
    yield gauge(
        "alerts",
        "The service's own alerts that nobody has seen the end of.",
        (*MONITOR, "severity", "state"),
        (
            ((entry.key.model, entry.key.monitor, severity, state), count)
            for entry in reading.activity
            for (severity, state), count in entry.alerts.items()
        ),
    )
    yield gauge(
        "checkpoint_registered_timestamp_seconds",
        "When the model's newest checkpoint was registered.",
        ("model",),
        (((model,), when.timestamp()) for model, when in reading.registered.items()),
    )
    yield gauge(
        "unjudged_checkpoint_registered_timestamp_seconds",
        "When the first checkpoint after the newest that the monitor has judged was registered.",
        MONITOR,
        (
            ((entry.key.model, entry.key.monitor), entry.unjudged_since.timestamp())
            for entry in reading.activity
            if entry.unjudged_since is not None
        ),
    )
    yield gauge(
        "page_budget_remaining_ratio",
        "Share of the calendar quarter's false-page budget that is not spent.",
        MONITOR,
        (
            ((entry.key.model, entry.key.monitor), entry.page_budget_remaining)
            for entry in reading.activity
        ),
    )
    yield gauge(
        "outbox_oldest_age_seconds",
        "How long the oldest message that is not yet with the broker has waited.",
        (),
        [((), reading.outbox_oldest_age)],
    )
    yield gauge(
        "shards",
        "Pieces of work that wait or run.",
        ("state",),
        (((state,), count) for state, count in reading.shards.items()),
    )
    yield gauge(
        "shards_oldest_queued_age_seconds",
        "How long the piece of work that has waited longest for a worker has waited.",
        (),
        [((), reading.shards_oldest_queued_age)],
    )
    yield gauge(
        "webhook_deliveries",
        "Deliveries to webhooks that are still tried, and that were given up.",
        ("state",),
        (((state,), count) for state, count in reading.webhook_deliveries.items()),
    )
    for position, name, text in (
        (0, "snapshots", "Complete snapshots in the artifact store."),
        (1, "snapshot_bytes", "What they weigh."),
    ):
        yield gauge(
            name,
            text,
            ("model",),
            (((model,), found[position]) for model, found in reading.snapshots.items()),
        )
    yield gauge(
        "exporter_left_out",
        "Things that have no series because of the bound on their number.",
        ("kind",),
        (((kind,), count) for kind, count in reading.left_out.items()),
    )
