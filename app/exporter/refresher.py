"""Takes a reading every few seconds, on a thread of its own."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import Error as DriverError
from sqlalchemy.exc import SQLAlchemyError

from app.core.database import Database, make_engine
from app.core.logging import get_logger
from app.exporter.reading import Reading
from app.exporter.take import take_reading
from app.settings import Settings

log = get_logger(__name__)

Finished = Mapping[tuple[str, str, str], int]
"""(model, monitor, status) → evaluations that ended so."""

_ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class State:
    """What is known at this moment.

    Args:
        reading: none unless the last attempt succeeded, recently: old values never look fresh.
        age: seconds since the last successful reading began; none before the first.
        errors: failed attempts since the start of the process.
        finished: evaluations by outcome.
    """

    reading: Reading | None
    age: float | None
    errors: int
    finished: Finished


class Refresher:
    """Keeps the newest reading.

    Scrapes never touch Postgres: any number of them costs it nothing, and a slow Postgres cannot
    make them hang.
    """

    def __init__(self, settings: Settings) -> None:
        self._interval = settings.exporter_refresh
        self._timeout = settings.exporter_statement_timeout
        # A reading has a dozen statements; one that takes this long is as good as none.
        self._oldest = 2 * self._interval + 4 * self._timeout
        self._database = Database(make_engine(settings, pool_size=1, application="exporter"))
        self._guard = threading.Lock()
        self._reading: Reading | None = None
        # Kept through failures, as what is not to be read again; never exported.
        self._before: Reading | None = None
        self._succeeded = False
        self._taken_at: float | None = None
        self._errors = 0
        self._finished: dict[tuple[str, str, str], int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exporter-refresh", daemon=True)

    def start(self) -> None:
        """Start refreshing."""
        self._thread.start()

    def close(self) -> None:
        """Stop refreshing and let go of Postgres."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(self._oldest)
        self._database.dispose()

    def state(self) -> State:
        """What is known now."""
        with self._guard:
            age = None if self._taken_at is None else time.monotonic() - self._taken_at
            fresh = self._succeeded and age is not None and age <= self._oldest
            return State(self._reading if fresh else None, age, self._errors, dict(self._finished))

    def refresh(self) -> None:
        """Take a reading now; a failure is counted and drops the one before."""
        began = time.monotonic()
        try:
            with self._database.unit_of_work() as session:
                reading = take_reading(session, self._timeout, self._before)
        except (SQLAlchemyError, DriverError) as error:
            self._fail()
            log.warning("no reading", error=str(error).strip().split("\n", 1)[0][:300])
            return
        except Exception:
            # A row that cannot be read: ending here would end all readings, though the process
            # goes on answering that it is well.
            self._fail()
            log.exception("no reading")
            return
        self._before = reading
        with self._guard:
            self._reading, self._taken_at, self._succeeded = reading, began, True
            self._finished = _risen(self._finished, reading)

    def _fail(self) -> None:
        with self._guard:
            self._errors += 1
            self._succeeded = False
            self._reading = None

    def _run(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            self._stop.wait(self._interval)


def _risen(before: Finished, reading: Reading) -> dict[tuple[str, str, str], int]:
    """Counts that never fall while a monitor exists.

    A retry takes an evaluation out of `failed`; to Prometheus a falling counter is a restart, and
    all that remains would count as new.
    """
    return {
        key: max(before.get(key, 0), entry.states.get(status, 0))
        for entry in reading.activity
        for status in _ENDED
        for key in [(entry.key.model, entry.key.monitor, status)]
    }
