"""What the API tells Prometheus of its own requests."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

# From a cached read to the longest poll.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "other"


class RequestMetrics:
    """Durations of requests, and how many are under way; of one application, not of the process.

    Labels are bounded: route templates and never paths, the usual methods, status codes.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._timed = CollectorRegistry(auto_describe=False)
        self.registry.register(_WithoutCreationTimes(self._timed))
        ProcessCollector(registry=self.registry)
        self._duration = Histogram(
            "featuredrift_http_request_duration_seconds",
            "From the first byte of a request to the last of its answer, long polls included.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self._timed,
        )
        self._open = Gauge(
            "featuredrift_http_requests_in_progress",
            "Requests that have not been answered yet.",
            registry=self._timed,
        )

    @contextmanager
    def in_progress(self) -> Iterator[None]:
        """Count a request as under way for as long as a block runs."""
        with self._open.track_inprogress():
            yield

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note an answered request."""
        known = method if method in _METHODS else OTHER_METHOD
        self._duration.labels(known, route, str(status)).observe(seconds)

    async def endpoint(self, request: Request) -> Response:
        """The handler of `/metrics`: OpenMetrics where it is asked for."""
        encoder, content_type = choose_encoder(request.headers.get("accept", ""))
        # Rendering many series takes a while; requests go on meanwhile.
        body = await run_in_threadpool(encoder, self.registry)
        return Response(body, headers={"content-type": content_type})


class _WithoutCreationTimes(Collector):
    """Leaves out the `_created` series, which would be one more for each combination of labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def describe(self) -> list[Metric]:
        """Nothing is declared beforehand."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics of now."""
        for metric in self._registry.collect():
            metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]
            yield metric
