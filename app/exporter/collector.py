"""From a reading to Prometheus metrics: new objects at each scrape, so that no label is stale."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from app.exporter.reading import DURATION_BOUNDS, Latest, Reading
from app.exporter.refresher import Finished, Refresher

_MONITOR = ("model", "monitor")


class ReadingCollector(Collector):
    """Exports the refresher's state; without a fresh reading, only the exporter's own health."""

    def __init__(self, refresher: Refresher) -> None:
        self._refresher = refresher

    def describe(self) -> Iterable[Metric]:
        """Nothing is declared beforehand; what exists depends on the reading."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics of this moment."""
        state = self._refresher.state()
        yield _gauge(
            "exporter_up",
            "Whether the last reading of Postgres succeeded, recently; without it there are no "
            "other values.",
            (),
            [((), float(state.reading is not None))],
        )
        yield _gauge(
            "exporter_reading_age_seconds",
            "Seconds since the last successful reading of Postgres began.",
            (),
            [] if state.age is None else [((), state.age)],
        )
        errors = CounterMetricFamily(
            "featuredrift_exporter_reading_errors",
            "Readings of Postgres that failed since the exporter started.",
        )
        errors.add_metric((), state.errors)
        yield errors
        if state.reading is not None:
            yield from _values(state.reading)
            yield from _work(state.reading, state.finished)


def _values(reading: Reading) -> Iterator[Metric]:
    """The newest succeeded evaluation of each monitor."""
    yield from _comparisons(reading.latest)
    yield from _features(reading.latest)
    for field, name, text in (
        ("fvu", "dictionary_fvu_ratio", "Fraction of variance that the dictionary leaves over."),
        ("l0", "dictionary_l0", "Mean number of latents that fire at a token."),
        ("dead_ratio", "dictionary_dead_ratio", "Share of latents that never fire on the corpus."),
    ):
        yield _gauge(
            name,
            f"{text} On the newest evaluated checkpoint.",
            (*_MONITOR, "dictionary"),
            (
                ((*_labels(latest), health.dictionary), getattr(health, field))
                for latest in reading.latest
                for health in latest.dictionaries
            ),
        )
    yield _gauge(
        "control_failed",
        "1 when a negative control of the newest evaluation failed, 0 when it held; without a "
        "value where it does not apply or cannot be told.",
        (*_MONITOR, "control"),
        (
            ((*_labels(latest), control), None if passed is None else float(not passed))
            for latest in reading.latest
            for control, passed in latest.controls.items()
        ),
    )
    yield _info(
        "evaluation",
        "The newest succeeded evaluation of a monitor, to join its values on.",
        (
            {
                **dict(zip(_MONITOR, _labels(latest), strict=True)),
                "evaluation": latest.evaluation,
                "checkpoint": latest.checkpoint,
                "baseline": latest.baseline,
            }
            for latest in reading.latest
        ),
    )
    yield _info(
        "checkpoint",
        "The newest evaluated checkpoint of a model.",
        (
            {"model": entry.model, "checkpoint": entry.checkpoint, "digest": entry.digest}
            for entry in reading.newest_checkpoints
        ),
    )
    yield _info(
        "alias",
        "The checkpoint behind an alias.",
        (
            {
                "model": entry.model,
                "alias": entry.alias or "",
                "checkpoint": entry.checkpoint,
                "digest": entry.digest,
            }
            for entry in reading.aliases
        ),
    )


def _comparisons(latest: tuple[Latest, ...]) -> Iterator[Metric]:
    pairs = [
        ((*_labels(entry), comparison.name), comparison)
        for entry in latest
        for comparison in entry.comparisons
    ]
    labels = (*_MONITOR, "comparison")
    yield _gauge(
        "features",
        "Features by verdict in the newest evaluation.",
        (*labels, "verdict"),
        (
            ((*key, verdict), count)
            for key, comparison in pairs
            for verdict, count in comparison.verdicts.items()
        ),
    )
    for position, suffix, text in (
        (0, "", "Share of the judged features that drifted."),
        (1, "_lower", "Lower end of its Wilson interval."),
        (2, "_upper", "Upper end of its Wilson interval."),
    ):
        yield _gauge(
            f"drifted_features_ratio{suffix}",
            text,
            labels,
            ((key, c.ratio[position]) for key, c in pairs if c.ratio is not None),
        )
    yield _gauge(
        "drift_score_quantile",
        "Quantiles of the drift score over the features that have one.",
        (*labels, "q"),
        ((((*key, q), score)) for key, c in pairs for q, score in c.score_quantiles.items()),
    )
    yield _gauge(
        "paged_features",
        "Features beyond a margin by simultaneous intervals within the false-page budget: wake "
        "someone.",
        labels,
        ((key, c.paged) for key, c in pairs),
    )
    yield _gauge(
        "slow_drift_features",
        "Watched features whose moving average over checkpoints has left its bound.",
        labels,
        ((key, c.slow_drift) for key, c in pairs),
    )


def _features(latest: tuple[Latest, ...]) -> Iterator[Metric]:
    pairs = [((*_labels(entry), f.name), f) for entry in latest for f in entry.features]
    labels = (*_MONITOR, "feature")
    for field, name, text in (
        ("drift_score", "feature_drift_score", "0 is noise, 1 no better than a random model."),
        ("firing_ratio", "feature_firing_ratio", "Share of tokens at which the feature is on."),
        ("concept_auroc", "feature_concept_auroc", "How well it separates its concept's tokens."),
    ):
        yield _gauge(name, text, labels, ((key, getattr(f, field)) for key, f in pairs))
    yield _gauge(
        "feature_verdict",
        "1 for the verdict that holds, against the pinned baseline.",
        (*labels, "verdict"),
        (((*key, f.verdict), 1.0) for key, f in pairs),
    )


def _work(reading: Reading, finished: Finished) -> Iterator[Metric]:
    """What the service is doing."""
    total = CounterMetricFamily(
        "featuredrift_evaluations",
        "Evaluations that have ended, by outcome.",
        labels=(*_MONITOR, "status"),
    )
    for key, count in finished.items():
        total.add_metric(key, count)
    yield total
    yield _gauge(
        "evaluations_open",
        "Evaluations that wait or run.",
        (*_MONITOR, "state"),
        (
            ((entry.key.model, entry.key.monitor, state), entry.states.get(state, 0))
            for entry in reading.activity
            for state in ("queued", "running")
        ),
    )
    duration = HistogramMetricFamily(
        "featuredrift_evaluation_duration_seconds",
        "From an evaluation's start to its end.",
        labels=(*_MONITOR, "status"),
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
    yield _gauge(
        "evaluation_last_success_timestamp_seconds",
        "When an evaluation of the monitor last succeeded.",
        _MONITOR,
        (
            ((entry.key.model, entry.key.monitor), entry.last_success.timestamp())
            for entry in reading.activity
            if entry.last_success is not None
        ),
    )
    yield _gauge(
        "page_budget_remaining_ratio",
        "Share of the calendar quarter's false-page budget that is not spent.",
        _MONITOR,
        (
            ((entry.key.model, entry.key.monitor), entry.page_budget_remaining)
            for entry in reading.activity
        ),
    )
    yield _gauge(
        "outbox_oldest_age_seconds",
        "How long the oldest message that is not yet with the broker has waited.",
        (),
        [((), reading.outbox_oldest_age)],
    )
    yield _gauge(
        "shards",
        "Pieces of work that wait or run.",
        ("state",),
        (((state,), count) for state, count in reading.shards.items()),
    )
    yield _gauge(
        "exporter_left_out",
        "Things that have no series because of the bound on their number.",
        ("kind",),
        (((kind,), count) for kind, count in reading.left_out.items()),
    )


def _labels(latest: Latest) -> tuple[str, str]:
    return latest.key.model, latest.key.monitor


def _gauge(
    name: str,
    text: str,
    labels: tuple[str, ...],
    samples: Iterable[tuple[tuple[str, ...], float | None]],
) -> GaugeMetricFamily:
    """A gauge; a sample without a value is left out, since there is no honest number for it."""
    metric = GaugeMetricFamily(f"featuredrift_{name}", text, labels=labels)
    for values, value in samples:
        if value is not None:
            metric.add_metric(values, value)
    return metric


def _info(name: str, text: str, samples: Iterable[dict[str, str]]) -> InfoMetricFamily:
    metric = InfoMetricFamily(f"featuredrift_{name}", text)
    for labels in samples:
        metric.add_metric((), labels)
    return metric
