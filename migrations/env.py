"""Alembic's environment: one database, the URL from the settings or from the caller."""

from alembic import context
from sqlalchemy import Connection, create_engine, text

from app.settings import get_settings
from app.tables import Base


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        # Better to fail and be run again than to queue behind a long query and block all others.
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        # Two deployments that migrate at once: the second waits, then finds nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('featuredrift-migrate'))"))
        context.run_migrations()


def main() -> None:
    """Run with the connection the caller gave, else with one of our own."""
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    engine = create_engine(get_settings().database_url)
    with engine.connect() as connection:
        _run(connection)
    engine.dispose()


main()
