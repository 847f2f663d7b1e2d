"""The metrics' page, from the families that the exporter and the API serve."""

from collections.abc import Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from app.core.request_metrics import RequestMetrics
from app.exporter.collector import ReadingCollector
from app.exporter.reading import CheckpointInfo, Latest, MonitorKey, Reading
from app.exporter.refresher import State
from tools.docs.words import WRITTEN, cell, code

HEAD = f"""{WRITTEN}
# Metrics

Every metric, as it is served. [Metrics explained](../metrics.md) says how they are to be read, how
many series there can be, and what is alerted on.
"""
_TABLE = "\n| metric | type | labels | |\n|---|---|---|---|\n"


def render() -> str:
    """The whole page."""
    served = "\n## The exporter\n" + _TABLE + _rows(_exported())
    own = "\n## Each API process, of its own requests\n" + _TABLE + _rows(_requests())
    return HEAD + served + own


def _exported() -> Iterable[Metric]:
    # An information's labels are those of its samples; all others are declared.
    key = MonitorKey("model", "monitor")
    latest = Latest(
        key,
        evaluation="evaluation",
        checkpoint="checkpoint",
        registered=datetime(2026, 1, 1, tzinfo=UTC),
        digest="digest",
        baseline="baseline",
        comparisons=(),
        features=(),
        dictionaries=(),
        controls={},
    )
    known = CheckpointInfo("model", "checkpoint", "digest", "alias")
    reading = Reading(
        latest=(latest,),
        activity=(),
        newest_checkpoints=(known,),
        aliases=(known,),
        registered={},
        outbox_oldest_age=0.0,
        shards={},
        shards_oldest_queued_age=0.0,
        webhook_deliveries={},
        left_out={},
    )
    state = State(reading=reading, age=0.0, errors=0, finished={})
    return ReadingCollector(None, state).collect()  # type: ignore[arg-type]  # never asked


def _requests() -> Iterable[Metric]:
    metrics = RequestMetrics()
    metrics.observe("GET", "/", 200, 0.0)
    found: CollectorRegistry = metrics.registry
    return [one for one in found.collect() if one.name.startswith("featuredrift_")]


def _rows(families: Iterable[Metric]) -> str:
    lines = []
    for family in sorted(families, key=lambda family: family.name):
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        declared = getattr(family, "_labelnames", ())
        sampled = [
            label for sample in family.samples for label in sample.labels if label not in {"le"}
        ]
        labels = ", ".join(code(label) for label in (declared or dict.fromkeys(sampled)))
        name = code(family.name + suffix)
        lines.append(f"| {name} | {family.type} | {labels} | {cell(family.documentation)} |")
    return "\n".join(lines) + "\n"
