"""The lease on a claimed shard, kept alive by a thread and lost without harm."""

import contextvars
import threading
import time
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from app.core.database import Database
from app.core.logging import get_logger
from app.evaluations import ledger
from app.evaluations.ledger import Claim, StaleAttempt

log = get_logger(__name__)


class Lease:
    """Heartbeats while its block runs; `check` tells the work when to stop."""

    def __init__(
        self, database: Database, claim: Claim, *, lease_seconds: float, heartbeat_seconds: float
    ) -> None:
        self._database = database
        self._claim = claim
        self._lease_seconds = lease_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._lost = threading.Event()
        self._done = threading.Event()
        # Its log lines bear the names that are bound where the lease is made.
        bound = contextvars.copy_context()
        self._thread = threading.Thread(
            target=bound.run, args=(self._beat,), name="heartbeat", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    @property
    def lost(self) -> bool:
        """Whether the shard is known to be no longer ours."""
        return self._lost.is_set()

    def check(self, *_: object) -> None:
        """Called between units of work.

        Raises:
            StaleAttempt: the shard is no longer ours, or the evaluation was cancelled.
        """
        if self._lost.is_set():
            raise StaleAttempt(f"shard {self._claim.shard_id}, attempt {self._claim.attempt}")

    def _beat(self) -> None:
        deadline = time.monotonic() + self._lease_seconds
        while not self._done.wait(self._heartbeat_seconds):
            asked_at = time.monotonic()
            try:
                with self._database.unit_of_work() as session:
                    held = ledger.heartbeat(session, self._claim, lease_seconds=self._lease_seconds)
            except SQLAlchemyError as error:
                log.warning("heartbeat failed", error=str(error).split("\n", 1)[0])
                # Past the lease another worker may have the shard; its writes would win anyway.
                held = time.monotonic() < deadline
            else:
                deadline = asked_at + self._lease_seconds
            if not held:
                self._lost.set()
                return
