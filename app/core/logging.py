"""Logs: one structured line an event, readable on a terminal, JSON lines elsewhere."""

import logging
import re
import sys
from collections.abc import MutableMapping, Sequence
from typing import Any

import structlog

_PASSWORD_IN_URL = re.compile(r"(\w+://[^\s:/@]*):[^\s@/]+@")
_API_KEY = re.compile(r"fd_[0-9a-f]{16,}")


def configure_logging(
    level: str = "info",
    *,
    process: str | None = None,
    json_lines: bool | None = None,
    extra: Sequence[Any] = (),
) -> None:
    """Send structlog and the standard library's loggers through one formatter to stderr.

    Each line of JSON has `timestamp` (UTC), `level`, `logger`, `event`, `process`, and whatever is
    bound to the work at hand: `request_id`, `trace_id`, `evaluation`, `shard`, …

    Args:
        level: `debug`, `info`, `warning` or `error`.
        process: which kind of process this is: `api`, `dispatcher`, `worker`, `exporter`.
        json_lines: by default, JSON unless stderr is a terminal.
        extra: further structlog processors, for lines of libraries.
    """

    def name_process(
        _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        if process is not None:
            event.setdefault("process", process)
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_process,
        _hide_passwords,
    ]
    as_json = not sys.stderr.isatty() if json_lines is None else json_lines
    final: list[Any] = (
        [structlog.processors.format_exc_info, _hide_passwords, structlog.processors.JSONRenderer()]
        if as_json
        else [
            structlog.processors.format_exc_info,
            _hide_passwords,
            # The default shows the values of local variables, secrets among them.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *shared,
                structlog.stdlib.PositionalArgumentsFormatter(),
                *extra,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    # Their own handlers, where something has given them any, would write lines of other forms.
    for server in ("uvicorn", "uvicorn.error", "uvicorn.access", "celery", "celery.task"):
        logging.getLogger(server).handlers = []
        logging.getLogger(server).propagate = True
    # Libraries that say at "info" what helps only their own authors.
    for chatty in ("alembic", "celery.redirected", "httpx", "httpx2", "kombu", "urllib3", "fsspec"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> Any:
    """A structured logger: `log.info("shard finished", shard=…, seconds=…)`."""
    return structlog.get_logger(name)


def _hide_passwords(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if not isinstance(value, str):
            continue
        if "://" in value:
            value = _PASSWORD_IN_URL.sub(r"\1:***@", value)
        if "fd_" in value:
            value = _API_KEY.sub("fd_***", value)
        event[key] = value
    return event
