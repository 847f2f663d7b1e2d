"""OpenTelemetry traces, where the standard environment variables ask for them.

Without `OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) nothing of
OpenTelemetry is imported here, and a span costs one function call. All other variables of the SDK
and of
its OTLP exporter hold as they stand: https://opentelemetry.io/docs/specs/otel/configuration/.
"""

import importlib.metadata
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from app.core.logging import get_logger

if TYPE_CHECKING:
    from opentelemetry.trace import Span as OtelSpan

Kind = Literal["internal", "server", "producer", "consumer"]
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

log = get_logger(__name__)


class Span:
    """A span, or nothing at all where traces are off."""

    def __init__(self, span: "OtelSpan | None" = None) -> None:
        self._span = span

    def set(self, **attributes: Any) -> None:
        """Add attributes; of a name `a__b` the attribute is `a.b`. None is left out."""
        if self._span is not None:
            self._span.set_attributes(_attributes(attributes))

    def rename(self, name: str) -> None:
        """Give it the name that is known only at its end."""
        if self._span is not None:
            self._span.update_name(name)

    def fail(self, reason: str) -> None:
        """Mark it as failed."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, reason))

    @property
    def traceparent(self) -> str | None:
        """What makes it the parent of a span in another process."""
        context = self._span.get_span_context() if self._span is not None else None
        if context is None or not context.is_valid:
            return None
        sampled = "01" if context.trace_flags.sampled else "00"
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{sampled}"


_OFF = Span()
_NO_SPAN: AbstractContextManager[Span] = nullcontext(_OFF)


class _Tracing:
    """This process's tracer, once there is one."""

    tracer: Any = None
    provider: Any = None


def wanted() -> bool:
    """Whether the environment asks for traces."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none":
        return False
    return any(os.environ.get(name, "").strip() for name in _ENDPOINTS)


def configure_telemetry(service: str) -> bool:
    """Export this process's spans if the environment asks for it; whether they are exported.

    To be called after a fork, never before: the exporter's thread does not survive one.

    Args:
        service: the `service.name` unless `OTEL_SERVICE_NAME` says another.
    """
    if not wanted() or _Tracing.tracer is not None:
        return _Tracing.tracer is not None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.warning(
            "traces are asked for, but OpenTelemetry is not installed: "
            "install featuredrift[otel], or unset OTEL_EXPORTER_OTLP_ENDPOINT",
            error=str(error),
        )
        return False
    version = importlib.metadata.version("featuredrift")
    names = {"service.version": version, "service.namespace": "featuredrift"}
    if not os.environ.get("OTEL_SERVICE_NAME"):
        names["service.name"] = service
    provider = TracerProvider(resource=Resource.create(names))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _Tracing.provider = provider
    _Tracing.tracer = provider.get_tracer("featuredrift", version)
    log.info("traces are exported by OTLP over HTTP", service=service)
    return True


def close_telemetry() -> None:
    """Send what is still held, and stop; nothing happens where traces are off."""
    if _Tracing.provider is not None:
        _Tracing.provider.shutdown()
        _Tracing.provider = _Tracing.tracer = None


def span(
    name: str, *, kind: Kind = "internal", parent: str | None = None, **attributes: Any
) -> AbstractContextManager[Span]:
    """A span for a block of work; an error that leaves the block is recorded in it.

    Args:
        name: what is done, of few different values.
        kind: OpenTelemetry's kind of span.
        parent: a `traceparent`; without, the span that this context is in, if any.
        attributes: of a name `a__b` the attribute is `a.b`.
    """
    if _Tracing.tracer is None:
        return _NO_SPAN
    return _real_span(name, kind, parent, attributes)


def current_span() -> Span:
    """The innermost open span."""
    if _Tracing.tracer is None:
        return _OFF
    from opentelemetry.trace import get_current_span

    return Span(get_current_span())


@contextmanager
def _real_span(
    name: str, kind: Kind, parent: str | None, attributes: dict[str, Any]
) -> Iterator[Span]:
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = None
    if parent is not None:
        context = TraceContextTextMapPropagator().extract({"traceparent": parent})
    with _Tracing.tracer.start_as_current_span(
        name, context=context, kind=SpanKind[kind.upper()], attributes=_attributes(attributes)
    ) as found:
        yield Span(found)


def _attributes(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name.replace("__", "."): value
        if isinstance(value, bool | int | float | str)
        else str(value)
        for name, value in values.items()
        if value is not None
    }
