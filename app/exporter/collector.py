"""From a reading to Prometheus metrics: new objects at each scrape, so that no label is stale."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from app.exporter.families import gauge
from app.exporter.refresher import Refresher, State
from app.exporter.values import values
from app.exporter.work import work


class ReadingCollector(Collector):
    """Exports the refresher's state; without a fresh reading, only the exporter's own health."""

    def __init__(
        self, refresher: Refresher, state: State | None = None, *, features: bool = True
    ) -> None:
        """Collect what the refresher knows at each scrape.

        Args:
            state: collect this instead.
            features: whether the watched features' own series are among it.
        """
        self._refresher, self._state, self._features = refresher, state, features

    def describe(self) -> Iterable[Metric]:
        """Nothing is declared beforehand; what exists depends on the reading."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics of this moment."""
        state = self._state or self._refresher.state()
        yield gauge(
            "exporter_up",
            "Whether the last reading of Postgres succeeded, recently; without it there are no "
            "other values.",
            (),
            [((), float(state.reading is not None))],
        )
        yield gauge(
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
            yield from values(state.reading, features=self._features)
            yield from work(state.reading, state.finished)
