"""Metric families, built anew at each scrape."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

from app.exporter.reading import Latest

MONITOR = ("model", "monitor")


def labels_of(latest: Latest) -> tuple[str, str]:
    """The values of `MONITOR`."""
    return latest.key.model, latest.key.monitor


def gauge(
    name: str,
    text: str,
    labels: tuple[str, ...],
    samples: Iterable[tuple[tuple[str, ...], float | None]],
) -> GaugeMetricFamily:
    """A gauge; a sample without a value is left out, since there is no honest number for it."""
    metric = GaugeMetricFamily(f"featuredrift_{name}", text, labels=labels)
    for values, value in samples:
        if value is not None:
            metric.add_metric(values, float(value))
    return metric


def info(name: str, text: str, samples: Iterable[dict[str, str]]) -> InfoMetricFamily:
    """A family of constant 1 whose labels are what it says."""
    metric = InfoMetricFamily(f"featuredrift_{name}", text)
    for labels in samples:
        metric.add_metric((), labels)
    return metric
