"""Logs: one structured line an event, readable on a terminal, JSON lines elsewhere."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_PASSWORD_IN_URL = re.compile(r"(\w+://[^\s:/@]*):[^\s@/]+@")


def configure_logging(level: str = "info", *, json_lines: bool | None = None) -> None:
    """Send structlog and the standard library's loggers through one formatter to stderr.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        json_lines: by default, JSON unless stderr is a terminal.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_passwords,
    ]
    as_json = not sys.stderr.isatty() if json_lines is None else json_lines
    final: list[Any] = (
        [structlog.processors.format_exc_info, _hide_passwords, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Libraries that say at "info" what helps only their own authors.
    for chatty in ("alembic", "celery.redirected", "httpx", "kombu", "urllib3", "fsspec"):
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
        if isinstance(value, str) and "://" in value:
            event[key] = _PASSWORD_IN_URL.sub(r"\1:***@", value)
    return event
