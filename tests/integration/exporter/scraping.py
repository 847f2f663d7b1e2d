"""What an exporter shows, by name and labels."""

from prometheus_client.parser import text_string_to_metric_families

from app.exporter.server import Exporter

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(exporter: Exporter, *, refresh: bool = True) -> Samples:
    """All of Featuredrift's samples, from text that a Prometheus would accept."""
    if refresh:
        exporter.refresher.refresh()
    body, _ = exporter.render()
    families = text_string_to_metric_families(body.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("featuredrift_")
    }


def named(samples: Samples, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Samples of one metric, by the values of some labels."""
    return {
        tuple(dict(found)[label] for label in labels): value
        for (metric, found), value in samples.items()
        if metric == f"featuredrift_{name}"
    }
