"""What is put together from kept lines is what the library would have written."""

from dataclasses import replace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from app.exporter.collector import ReadingCollector
from app.exporter.exposition import Exposition
from app.exporter.reading import Latest, MonitorKey, Reading, WatchedFeature
from app.exporter.refresher import Refresher, State
from tests.unit.exporter.test_number_of_series import busiest, fullest

TEXT, OPENMETRICS = "", "application/openmetrics-text; version=1.0.0"


class Held:
    """A refresher whose reading a test sets."""

    def __init__(self, *latest: Latest) -> None:
        self.latest = latest

    def state(self) -> State:
        reading = Reading(
            latest=self.latest,
            activity=tuple(busiest(entry.key) for entry in self.latest),
            newest_checkpoints=(),
            aliases=(),
            registered={},
            outbox_oldest_age=0.0,
            shards={"queued": 0, "running": 0},
            shards_oldest_queued_age=0.0,
            webhook_deliveries={"pending": 0, "failed": 0},
            left_out={"monitors": 0, "dictionaries": 0},
        )
        return State(reading, 1.0, 0, {})


def samples(body: bytes, accept: str) -> dict[str, tuple[str, str, list[str]]]:
    """Family → type, help and samples in order, those of the process left out."""
    parse = parse_openmetrics if accept else parse_text
    return {
        family.name: (family.type, family.documentation, [str(s) for s in family.samples])
        for family in parse(body.decode())
        if not family.name.startswith("process_")
    }


def by_the_library(held: Held, accept: str) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ReadingCollector(cast("Refresher", held)))
    ProcessCollector(registry=registry)
    encode, _ = choose_encoder(accept)
    return encode(registry)


def entry(monitor: str, watched: int = 3) -> Latest:
    return fullest(MonitorKey("bot", monitor), watched, 1, 2)


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_every_reading_is_written_as_the_library_writes_it(accept: str) -> None:
    held = Held(entry("a"), entry("b", 0))
    exposition = Exposition(cast("Refresher", held))

    def check() -> None:
        body, content_type = exposition.render(accept)
        assert content_type == choose_encoder(accept)[1]
        assert samples(body, accept) == samples(by_the_library(held, accept), accept)
        assert body.count(b"# EOF") == (accept == OPENMETRICS)

    check()
    check()
    # A monitor whose features changed, one that came, one that went, and none at all.
    odd = WatchedFeature('a"\\\n# b', "drifted", None, None, 0.5, paged=True, slow_drift=False)
    held.latest = (replace(entry("a"), features=(odd,)), entry("b", 0), entry("c"))
    check()
    held.latest = (entry("c"),)
    check()
    held.latest = ()
    check()


def test_the_two_formats_do_not_mix() -> None:
    held = Held(entry("a"))
    exposition = Exposition(cast("Refresher", held))
    for accept in (TEXT, OPENMETRICS, TEXT):
        body, _ = exposition.render(accept)
        assert samples(body, accept) == samples(by_the_library(held, accept), accept)


def test_without_a_reading_there_are_no_values() -> None:
    held = Held(entry("a"))
    exposition = Exposition(cast("Refresher", held))
    exposition.render()
    held.state = lambda: State(None, 90.0, 3, {})  # type: ignore[method-assign]
    body, _ = exposition.render()
    assert b"featuredrift_exporter_up 0.0" in body
    assert b"featuredrift_feature" not in body
