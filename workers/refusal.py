"""A shard whose message this process could not even begin to act on.

What goes wrong under a claim is recorded by the pipeline. What goes wrong before, such as libraries
that cannot be imported, would cost no attempt, and the shard would be announced for ever.
"""

import os
import socket
from uuid import UUID

from sqlalchemy.orm import Session

from app.core.database import Database, make_engine
from app.core.logging import get_logger
from app.evaluations import ledger, snapshots
from app.settings import Settings

_DETAIL_LIMIT = 2000

log = get_logger(__name__)


def refuse(settings: Settings, shard_id: UUID, error: BaseException) -> bool:
    """Spend an attempt on the error, so that the shard is tried elsewhere and ends at the cap.

    Imports nothing that a worker needs for its work.

    Returns:
        Whether the error was recorded; not if somebody else has the shard, or it has ended.

    Raises:
        SQLAlchemyError: Postgres does not answer; nothing was recorded.
    """
    line = str(error).strip().split("\n", 1)[0]
    detail = f"a worker could not begin: {type(error).__name__}: {line}"[:_DETAIL_LIMIT]
    database = Database(make_engine(settings, pool_size=1, application="worker"))
    try:
        with database.unit_of_work() as session:
            refused = _spend_attempt(session, settings, shard_id, detail)
        if refused:
            with database.unit_of_work() as session:
                snapshots.fail_exhausted(session, shard_id, settings.max_attempts)
            log.warning("refused, to be tried again", shard=str(shard_id), detail=detail)
    finally:
        database.dispose()
    return refused


def _spend_attempt(session: Session, settings: Settings, shard_id: UUID, detail: str) -> bool:
    claim = ledger.claim(
        session,
        shard_id,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
    )
    if claim is None:
        return False
    ledger.requeue(session, claim, ledger.failure("worker_unfit", detail))
    return True
