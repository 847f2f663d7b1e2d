"""Each process alone, as production runs them: `api`, `dispatcher`, `worker`, `exporter`."""

import os
import socket
import sys
from typing import Annotated

import typer

from app.core.reachable import keys_needed, listen, require_postgres, require_redis
from app.settings import get_settings

_GRACEFUL_SECONDS = 5


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(api)
    app.command()(dispatcher)
    app.command()(worker)
    app.command()(exporter)


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=0, max=65535)] = None,
    listen_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the REST API."""
    from app.access.keys_start import require_pepper, require_some_key
    from app.core.logging import configure_logging
    from app.core.telemetry import configure_telemetry
    from app.main import create_app
    from app.serving import serve_api

    settings = get_settings()
    configure_logging(settings.log_level, process="api")
    where = host or settings.host
    if keys_needed(settings, where):
        settings = settings.model_copy(update={"require_keys": True})
        require_pepper(settings, where)
    require_postgres(settings)
    if settings.require_keys:
        require_some_key(settings, where)
    if listen_fd is None:
        listener = listen(host or settings.host, settings.port if port is None else port)
    else:
        listener = socket.socket(fileno=listen_fd)
    configure_telemetry("featuredrift-api")
    serve_api(
        create_app(settings),
        listener,
        log_level=settings.log_level,
        graceful_seconds=_GRACEFUL_SECONDS,
        header_seconds=settings.header_timeout,
    )


def dispatcher() -> None:
    """Run the dispatcher: from the outbox to the broker, and lapsed leases back to the queue."""
    from app.cli.signals import run_until_signalled
    from app.core.logging import configure_logging
    from app.core.telemetry import close_telemetry, configure_telemetry
    from app.evaluations.dispatcher import run_dispatcher

    settings = get_settings()
    configure_logging(settings.log_level, process="dispatcher")
    require_postgres(settings)
    require_redis(settings)
    configure_telemetry("featuredrift-dispatcher")
    try:
        run_until_signalled(lambda stop: run_dispatcher(settings, stop))
    finally:
        close_telemetry()


def worker(
    concurrency: Annotated[
        int, typer.Option(help="Children; one for each accelerator.", min=1)
    ] = 1,
    name: Annotated[str, typer.Option(help="Name of this worker; %h is the host.")] = "worker@%h",
) -> None:
    """Run a worker: it captures, compares and judges."""
    settings = get_settings()
    require_postgres(settings)
    require_redis(settings)
    os.execv(  # noqa: S606 - the worker takes this process over, and with it the signals
        sys.executable,
        [
            # Quiet: its banner is no line of a log.
            *(sys.executable, "-m", "celery", "--quiet", "--app", "workers.celery_app", "worker"),
            *("--pool", "prefork", "--concurrency", str(concurrency), "--hostname", name),
            *("--loglevel", settings.log_level, "--without-gossip", "--without-mingle"),
            # Nobody listens to them, and while Redis is away they block the parent for minutes.
            "--without-heartbeat",
        ],
    )


def exporter(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=0, max=65535)] = None,
) -> None:
    """Run the Prometheus exporter."""
    from app.core.logging import configure_logging
    from app.exporter.server import serve_metrics

    settings = get_settings()
    configure_logging(settings.log_level, process="exporter")
    require_postgres(settings)
    listener = listen(
        host or settings.exporter_host, settings.exporter_port if port is None else port
    )
    serve_metrics(settings, listener)
