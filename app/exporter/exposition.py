"""The exposition of a whole fleet: what has not changed since the last scrape is not written anew.

Nearly all series are those of watched features, and these change only when a monitor has a new
evaluation. Each monitor's lines are kept as the library wrote them, and put together by family.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app.exporter.collector import ReadingCollector
from app.exporter.reading import Latest, MonitorKey, WatchedFeature
from app.exporter.refresher import Refresher
from app.exporter.values import feature_values

_END = b"# EOF\n"
"""OpenMetrics ends with this line, once."""

Encoder = Callable[[CollectorRegistry], bytes]
Families = dict[str, list[bytes]]
"""Family → its lines, those that describe it first."""


@dataclass(frozen=True)
class _Written:
    """A monitor's watched features, and their lines."""

    features: tuple[WatchedFeature, ...]
    lines: dict[str, bytes]
    """By family."""


class Exposition:
    """Renders the refresher's state; safe to call from several threads."""

    def __init__(self, refresher: Refresher) -> None:
        self._refresher = refresher
        self._written: dict[str, dict[MonitorKey, _Written]] = {}

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type: OpenMetrics where `accept` asks for it."""
        encode, content_type = choose_encoder(accept)
        state = self._refresher.state()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(ReadingCollector(self._refresher, state, features=False))
        ProcessCollector(registry=registry)
        body = encode(registry)
        if state.reading is None:
            return body, content_type
        ended = body.endswith(_END)
        parts = [body.removesuffix(_END)]
        parts += self._features(state.reading.latest, encode, content_type)
        return b"".join([*parts, _END] if ended else parts), content_type

    def _features(
        self, latest: Sequence[Latest], encode: Encoder, content_type: str
    ) -> Iterator[bytes]:
        """Family by family, the lines of all monitors."""
        before = self._written.get(content_type, {})
        written = {}
        for entry in latest:
            known = before.get(entry.key)
            if known is None or known.features != entry.features:
                lines = _samples(encode(_registry((entry,))))
                known = _Written(entry.features, {f: b"".join(found) for f, found in lines.items()})
            written[entry.key] = known
        # Replaced as a whole: what left the reading leaves here, and no thread sees half of it.
        self._written[content_type] = written
        for family, described in _descriptions(encode(_registry(()))).items():
            yield from described
            yield from (entry.lines.get(family, b"") for entry in written.values())


class _Features(Collector):
    def __init__(self, latest: tuple[Latest, ...]) -> None:
        self._latest = latest

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        return feature_values(self._latest)


def _registry(latest: tuple[Latest, ...]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Features(latest))
    return registry


def _descriptions(body: bytes) -> Families:
    return _split(body, wanted=True)


def _samples(body: bytes) -> Families:
    return _split(body, wanted=False)


def _split(body: bytes, *, wanted: bool) -> Families:
    """The lines that describe each family, or its samples; both in the order of the body."""
    families: Families = {}
    family = ""
    for text in body.removesuffix(_END).split(b"\n")[:-1]:
        line = text + b"\n"
        described = line.startswith(b"# ")
        if described:
            family = line.split(b" ", 3)[2].decode()
        if described is wanted:
            families.setdefault(family, []).append(line)
    return families
