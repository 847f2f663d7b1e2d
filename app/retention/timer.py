"""The collector on a timer, in a thread of the dispatcher's process.

It collects what monitors' policies let go and nothing else: without a policy nothing is marked, and
what nothing refers to goes only when somebody asks for it.
"""

import threading
from types import TracebackType
from typing import Self

from app.core.artifacts import ArtifactStore
from app.core.database import Database, make_engine
from app.core.errors import ConflictError
from app.core.logging import get_logger
from app.retention import repository
from app.retention.collector import collect
from app.retention.rules import Rules
from app.settings import Settings

POLL_SECONDS = 60.0

log = get_logger(__name__)


class RetentionTimer:
    """Runs the collector when the last run is older than `retention_interval`, in a block.

    Any number of dispatchers may have one: the time of the last run is in Postgres, and only one
    collector works at a time.
    """

    def __init__(self, settings: Settings, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._settings = settings
        self._poll = min(poll_seconds, settings.retention_interval or poll_seconds)
        self._stop = threading.Event()
        # A daemon: a store that does not answer must not keep the process from ending. What was
        # begun is ended by the next run.
        self._thread = threading.Thread(target=self._watch, name="retention", daemon=True)

    def __enter__(self) -> Self:
        if self._settings.retention_interval:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()

    def _watch(self) -> None:
        settings = self._settings
        database = Database(make_engine(settings, pool_size=2, application="retention"))
        while not self._stop.wait(self._poll):
            try:
                with database.unit_of_work() as session:
                    age = repository.seconds_since_run(session)
                if age is None or age >= settings.retention_interval:
                    store = ArtifactStore(
                        settings.artifacts, settings.data_dir.resolve() / "cache" / "artifacts"
                    )
                    outcome = collect(database, store, Rules.of(settings), "policies")
                    log.info("retention ran", **outcome.to_json())
            except ConflictError:
                log.info("another collector is at work")
            # Postgres or the store is away, or holds something unforeseen: seen in the log, and
            # tried again; dispatching goes on meanwhile.
            except Exception:
                log.exception("retention did not finish, to be tried again", retry_in=self._poll)
                database.dispose()
        database.dispose()
