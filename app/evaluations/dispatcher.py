"""The dispatcher: outbox → broker, and what has been dropped → back into the queue.

One works at a time, the holder of an advisory lock; others stand by. It may die at any moment: what
it published without recording it is published again, which is harmless. Webhooks are delivered in
threads of their own beside it.
"""

import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from psycopg import OperationalError as ConnectionLost
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError, TimeoutError

from app.core import telemetry
from app.core.correlation import NO_CAUSE, Correlation, correlated
from app.core.database import Database, make_engine
from app.core.faults import fault_point
from app.core.logging import get_logger
from app.evaluations import outbox, snapshots, sweep
from app.evaluations.broker import Broker, BrokerUnavailable
from app.retention.timer import RetentionTimer
from app.settings import Settings
from app.webhooks.deliverer import Deliverer

_LOCK = "SELECT pg_try_advisory_lock(hashtext('featuredrift-dispatcher'))"
_LIMIT_IDLENESS = text("SELECT set_config('idle_session_timeout', :limit, false)")
_BATCH = 500
_SWEEP_SECONDS = 1.0
_SWEEPS_A_LEASE = 4
_PURGE_SECONDS = 60.0
_STANDBY_SECONDS = 1.0
_STUCK_SECONDS = 60.0
_LONGEST_BACKOFF = 5.0

log = get_logger(__name__)


def run_dispatcher(settings: Settings, stop: threading.Event) -> None:
    """Dispatch until `stop` is set. Outlives restarts of Postgres and of Redis."""
    silence = settings.lease_seconds
    database = Database(
        make_engine(settings, pool_size=2, application="dispatcher", silence=silence)
    )
    backoff = settings.dispatch_interval
    # Every dispatcher delivers webhooks, also one that stands by.
    with Deliverer(settings), RetentionTimer(settings), Broker(settings) as broker:
        while not stop.is_set():
            try:
                with database.engine.connect() as connection:
                    connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                    if connection.scalar(text(_LOCK)):
                        backoff = settings.dispatch_interval
                        _Dispatcher(settings, database, broker, stop).run(connection)
                    else:
                        stop.wait(_STANDBY_SECONDS)
            except (DBAPIError, TimeoutError, ConnectionLost, OSError) as error:
                # An OSError: there is no disk, file or socket to be had for the moment.
                what = "the system fails" if isinstance(error, OSError) else "postgres unavailable"
                log.warning(what, error=_first_line(error), retry_in=backoff)
                database.dispose()
                stop.wait(backoff)
                backoff = min(2 * backoff, _LONGEST_BACKOFF)
    database.dispose()


class _Dispatcher:
    """The lock holder's loop: publish, sweep, listen."""

    def __init__(
        self, settings: Settings, database: Database, broker: Broker, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._database = database
        self._broker = broker
        self._stop = stop
        self._backoff = 0.0
        self._publish_at = 0.0
        self._purge_at = 0.0
        self._stuck: dict[UUID, float] = {}

    def run(self, connection: Connection) -> None:
        """Dispatch until told to stop, or until Postgres goes away (an error of the driver's)."""
        connection.execute(text(f"LISTEN {outbox.CHANNEL}"))
        # One that is stopped, or hangs, gives no sign for this long, and loses the lock.
        limit = str(int(self._settings.lease_seconds * 1000))
        connection.execute(_LIMIT_IDLENESS, {"limit": limit})
        driver = connection.connection.driver_connection
        if driver is None:
            raise ConnectionLost("the connection was closed")
        log.info("dispatching")
        sweep_at = 0.0
        sweep_every = min(_SWEEP_SECONDS, self._settings.lease_seconds / _SWEEPS_A_LEASE)
        while not self._stop.is_set():
            # The sign of life. A notification that it takes in is heeded by what comes next.
            connection.execute(text("SELECT 1"))
            if time.monotonic() >= self._publish_at:
                self._guarded(self._publish)
            if time.monotonic() >= sweep_at:
                self._sweep()
                self._guarded(self._remind)
                sweep_at = time.monotonic() + sweep_every
            # Returns at the first notification: a commit reaches the broker within milliseconds.
            for _ in driver.notifies(timeout=self._settings.dispatch_interval, stop_after=1):
                pass

    def _publish(self) -> None:
        while not self._stop.is_set():
            with self._database.unit_of_work() as session:
                messages = outbox.due(session, _BATCH)
            published = []
            try:
                for message in messages:
                    fault_point("before-publish")
                    self._announce(message)
                    fault_point("after-publish")
                    published.append(message.id)
            finally:
                if published:
                    with self._database.unit_of_work() as session:
                        outbox.mark_published(session, published)
            if len(messages) < _BATCH:
                return

    def _announce(self, message: outbox.Message) -> None:
        cause, shard = message.cause, str(message.shard_id)
        with (
            correlated(cause, shard=shard),
            telemetry.span(
                "publish", kind="producer", parent=cause.traceparent, featuredrift__shard=shard
            ) as span,
        ):
            onward = Correlation(cause.request_id, span.traceparent or cause.traceparent)
            self._broker.publish(message.shard_id, onward)
            log.info("shard announced")

    def _remind(self) -> None:
        if self._broker.has_forgotten():
            with self._database.unit_of_work() as session:
                announced = outbox.announce_all_queued(session)
            self._broker.remember()
            if announced:
                log.warning("the broker was empty; queued shards announced again", shards=announced)

    def _sweep(self) -> None:
        settings, database = self._settings, self._database
        with database.unit_of_work() as session:
            sweep.forget_lost_time(
                session, lease_seconds=settings.lease_seconds, max_attempts=settings.max_attempts
            )
        with database.unit_of_work() as session:
            requeued = sweep.requeue_lapsed(session, settings.max_attempts)
        with database.unit_of_work() as session:
            exhausted = sweep.exhausted(session, settings.max_attempts)
        exhausted = [one for one in exhausted if self._fail_exhausted(one)]
        with database.unit_of_work() as session:
            unneeded = snapshots.unneeded(session)
        for snapshot_id in unneeded:
            with database.unit_of_work() as session:
                snapshots.release_unneeded(session, snapshot_id)
        with database.unit_of_work() as session:
            reannounced = sweep.reannounce_unclaimed(session, settings.republish_after)
        if time.monotonic() >= self._purge_at:
            with database.unit_of_work() as session:
                outbox.purge_published(session)
            self._purge_at = time.monotonic() + _PURGE_SECONDS
        self._say("the lease has lapsed, the shard is queued again", requeued)
        self._say("no attempts are left, the shard has failed", exhausted)
        self._say("nobody has claimed the shard, it is announced again", reannounced)
        if requeued or exhausted or unneeded or reannounced:
            log.info(
                "swept",
                leases_expired=len(requeued),
                attempts_exhausted=len(exhausted),
                snapshots_released=len(unneeded),
                announced_again=len(reannounced),
            )

    def _fail_exhausted(self, shard_id: UUID) -> bool:
        """Whether its end is written now; if it cannot be, it is tried again after a while."""
        if time.monotonic() < self._stuck.get(shard_id, 0.0):
            return False
        try:
            with self._database.unit_of_work() as session:
                ended = snapshots.fail_exhausted(session, shard_id, self._settings.max_attempts)
        except (OperationalError, TimeoutError, ConnectionLost):
            raise
        except Exception:
            # One whose end, with its alerts and events, cannot be written must not keep all others
            # from being worked on.
            log.exception("the shard's end cannot be written", shard=str(shard_id))
            self._stuck[shard_id] = time.monotonic() + _STUCK_SECONDS
            return False
        self._stuck.pop(shard_id, None)
        return ended

    def _say(self, event: str, shard_ids: Sequence[UUID]) -> None:
        """One line for each shard, with the request that caused it."""
        if not shard_ids:
            return
        with self._database.unit_of_work() as session:
            causes = outbox.causes(session, shard_ids)
        for shard_id in shard_ids:
            with correlated(causes.get(shard_id, NO_CAUSE)):
                log.warning(event, shard=str(shard_id))

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do something with the broker; when it is away, try again after a growing pause."""
        try:
            work()
            self._backoff = 0.0
        except BrokerUnavailable as error:
            self._backoff = min(
                2 * self._backoff or self._settings.dispatch_interval, _LONGEST_BACKOFF
            )
            self._publish_at = time.monotonic() + self._backoff
            log.warning("broker unavailable", error=_first_line(error), retry_in=self._backoff)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:300]
