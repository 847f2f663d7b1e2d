"""The engine, sessions, and the unit of work: the only place that commits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, Self

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import ORMExecuteState, Session, sessionmaker

from app.settings import Settings

CONNECT_TIMEOUT = 5
PRINCIPAL = "principal"
"""Where a session's `info` says on whose behalf it works."""
UNRESTRICTED = "featuredrift_unrestricted"
"""Execution option of the service's own statements, whose rows no caller is shown."""


def make_engine(
    settings: Settings,
    *,
    pool_size: int = 10,
    application: str,
    silence: float | None = None,
) -> Engine:
    """An engine for one process.

    `application` shows in `pg_stat_activity`. Connections are tested when they are taken, so that a
    restarted Postgres costs one reconnect, not one failed request per pooled connection.

    Args:
        silence: seconds after which Postgres ends a transaction in which nothing happens, and with
            it the locks of a process that was stopped or cut off; None for never.
    """
    options = "-c timezone=UTC -c lock_timeout=10s -c statement_timeout=60s"
    if silence is not None:
        options += f" -c idle_in_transaction_session_timeout={int(silence * 1000)}"
    return create_engine(
        settings.database_url,
        # Errors are logged, and among the parameters are signing secrets.
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=10,
        pool_pre_ping=True,
        pool_timeout=10,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT,
            # A host that vanished without a word is noticed within half a minute, not in hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 25_000,
            "application_name": f"featuredrift-{application}",
            "options": options,
        },
    )


class Database:
    """Hands out units of work: transactions that commit when their block ends without an error."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        self._info: dict[str, Any] = {}

    def on_execute(self, listener: Callable[[ORMExecuteState], None]) -> None:
        """Let every statement of every session be looked at, and changed, before it is sent."""
        event.listen(self._sessions, "do_orm_execute", listener)

    def on_behalf_of(self, principal: object) -> Self:
        """The same database, for units of work that know on whose behalf they are."""
        view = copy(self)
        view._info = {PRINCIPAL: principal}
        return view

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, rolled back on any error."""
        with self._sessions(info=dict(self._info)) as session, session.begin():
            yield session

    def dispose(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()
