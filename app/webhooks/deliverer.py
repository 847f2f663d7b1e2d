"""Delivering, in threads of their own inside the dispatcher's process.

One thread claims, others post. Any number of processes may do so at once; one that dies leaves
leases that lapse, and then another delivers, under the same message id.
"""

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from psycopg import Error as DriverError
from sqlalchemy.exc import SQLAlchemyError

from app.core.clock import now
from app.core.database import Database, make_engine
from app.core.faults import fault_point
from app.core.logging import get_logger
from app.settings import Settings
from app.webhooks import ledger
from app.webhooks.addresses import Resolver, resolve
from app.webhooks.ledger import Claim
from app.webhooks.sender import Outcome, Sender
from app.webhooks.signing import signed_headers

THREADS = 16
POLL_SECONDS = 0.5
_LEASE_SLACK = 20.0
_SWEEP_SECONDS = 5.0
_GRACE_SECONDS = 5.0
_LONGEST_BACKOFF = 5.0
_WRITES = 3

log = get_logger(__name__)


class Deliverer:
    """Delivers from `with` to the end of the block.

    At the end nothing new is claimed; what is under way has a few seconds to end, and what then
    has not is given back.

    Args:
        resolver: for tests of what a name server may answer.
        lease_slack: seconds of the lease beyond the timeout of an attempt.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        resolver: Resolver = resolve,
        lease_slack: float = _LEASE_SLACK,
    ) -> None:
        self._settings = settings
        self._lease = settings.webhook_timeout + lease_slack
        self._database = Database(make_engine(settings, pool_size=4, application="webhooks"))
        self._sender = Sender(settings, resolver=resolver)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._work: queue.SimpleQueue[Claim | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._claims: dict[Claim, None] = {}
        self._claimer = threading.Thread(target=self._claim_all, name="webhooks", daemon=True)
        # Daemons: a receiver that says nothing must not keep the process from ending.
        self._threads = [
            threading.Thread(target=self._deliver_all, name=f"webhook-{index}", daemon=True)
            for index in range(THREADS)
        ]

    def __enter__(self) -> Self:
        for thread in (self._claimer, *self._threads):
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._wake.set()
        deadline = time.monotonic() + _GRACE_SECONDS
        self._claimer.join(_GRACE_SECONDS)
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        for claim in self._held():
            self._written(partial(self._release, claim), tries=1)
        self._database.dispose()

    def _claim_all(self) -> None:
        backoff, sweep_at = POLL_SECONDS, 0.0
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self._claim()
                if time.monotonic() >= sweep_at:
                    self._sweep()
                    sweep_at = time.monotonic() + _SWEEP_SECONDS
            except (SQLAlchemyError, DriverError) as error:
                log.warning("webhooks cannot be read", error=_first_line(error), retry_in=backoff)
                self._database.dispose()
                backoff = self._pause(backoff)
            except Exception:
                # Ending here would end all deliveries, unseen.
                log.exception("webhooks cannot be claimed", retry_in=backoff)
                backoff = self._pause(backoff)
            else:
                backoff = POLL_SECONDS
                self._wake.wait(POLL_SECONDS)

    def _pause(self, seconds: float) -> float:
        self._stop.wait(seconds)
        return min(2 * seconds, _LONGEST_BACKOFF)

    def _claim(self) -> None:
        held = self._held()
        free = THREADS - len(held)
        if free <= 0:
            return
        busy = {claim.webhook_id for claim in held}
        with self._database.unit_of_work() as session:
            claims = ledger.claim_due(session, busy=busy, limit=free, lease_seconds=self._lease)
        with self._lock:
            self._claims.update(dict.fromkeys(claims))
        for claim in claims:
            self._work.put(claim)

    def _sweep(self) -> None:
        settings = self._settings
        with self._database.unit_of_work() as session:
            given_up = ledger.give_up_old(session, settings.webhook_max_age)
        with self._database.unit_of_work() as session:
            ledger.purge_log(session, settings.webhook_log_days)
        if given_up:
            log.warning("deliveries given up", deliveries=given_up)

    def _deliver_all(self) -> None:
        while (claim := self._work.get()) is not None:
            try:
                if not self._stop.is_set():
                    self._deliver(claim)
            except Exception:
                # The lease lapses, and then it is tried again.
                log.exception("a delivery broke off", delivery=str(claim.delivery_id))
                self._forget(claim)
            self._wake.set()

    def _deliver(self, claim: Claim) -> None:
        fault_point("before-delivery")
        outcome = self._post(claim)
        fault_point("after-delivery")
        state: list[str | None] = []

        def settle() -> None:
            with self._database.unit_of_work() as session:
                state.append(ledger.settle(session, claim, outcome, self._settings))

        self._written(settle, tries=_WRITES)
        self._forget(claim)
        # The URL's path may be a secret of the receiver's, and the answer anything: not logged.
        log.info(
            "webhook attempted",
            webhook=str(claim.webhook_id),
            delivery=str(claim.delivery_id),
            attempt=claim.attempt,
            status=outcome.status,
            error=outcome.error,
            state=state[-1] if state else "not recorded",
        )

    def _post(self, claim: Claim) -> Outcome:
        try:
            headers = signed_headers(claim.secrets, claim.message_id, now(), claim.body)
            return self._sender.post(claim.url, headers, claim.body)
        except Exception as fault:
            # Without an outcome it would be tried whenever its lease lapses, with no pause between.
            log.exception("a delivery broke off", delivery=str(claim.delivery_id))
            return Outcome(f"a fault of the sender's own: {type(fault).__name__}; see its log")

    def _release(self, claim: Claim) -> None:
        with self._database.unit_of_work() as session:
            ledger.release(session, claim)

    def _written(self, write: Callable[[], None], *, tries: int) -> None:
        """Write; when Postgres is away for good, the lease lapses and the attempt is repeated."""
        for left in reversed(range(tries)):
            try:
                write()
            except (SQLAlchemyError, DriverError) as error:
                log.warning("a delivery is not recorded", error=_first_line(error), tries_left=left)
                if left:
                    self._stop.wait(1.0)
            else:
                return

    def _held(self) -> list[Claim]:
        with self._lock:
            return list(self._claims)

    def _forget(self, claim: Claim) -> None:
        with self._lock:
            self._claims.pop(claim, None)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).split("\n", 1)[0][:300]
