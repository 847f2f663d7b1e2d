"""The broker: Celery on Redis, reduced to one message, "look at shard N".

The only module of `app` that knows Celery. Workers take their configuration from here too, so that
both ends agree.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from app.core.correlation import NO_CAUSE, Correlation
from app.core.ids import new_id
from app.evaluations import outbox
from app.settings import Settings

RUN_SHARD = "featuredrift.run_shard"
_REQUEST_ID = "featuredrift_request_id"
_TRACEPARENT = "traceparent"
_SOCKET_TIMEOUT = 5.0


class BrokerUnavailable(Exception):  # noqa: N818 - a state of the world, not a mistake
    """The broker does not answer."""


def cause_of(headers: Mapping[str, Any]) -> Correlation:
    """The request for which a message was published, from the message's headers."""
    return Correlation(headers.get(_REQUEST_ID), headers.get(_TRACEPARENT))


def make_celery(settings: Settings) -> Celery:
    """The Celery application, as both publisher and workers configure it.

    No result backend, no Celery retries, no chords: the ledger does what they would do.
    """
    app = Celery("featuredrift", broker=settings.redis_url)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        result_backend=None,
        task_default_queue=settings.queue,
        enable_utc=True,
        # A message is acknowledged after the work, and given to another worker when its process
        # dies. The ledger refuses what it then sees twice.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_soft_time_limit=settings.shard_soft_limit,
        task_time_limit=settings.shard_hard_limit,
        task_publish_retry=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Work goes on while Redis is away: its result goes to Postgres.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options={
            "visibility_timeout": settings.visibility_timeout,
            "socket_connect_timeout": _SOCKET_TIMEOUT,
            "socket_timeout": 4 * _SOCKET_TIMEOUT,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    )
    return app


class Broker:
    """Publishes messages.

    Raises, from each method:
        BrokerUnavailable: Redis does not answer; nothing is known of the message.
    """

    def __init__(self, settings: Settings) -> None:
        self._app = make_celery(settings)
        self._marker = f"featuredrift:{settings.queue}:alive"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._app.close()

    def publish(self, shard_id: UUID, cause: Correlation = NO_CAUSE) -> None:
        """Tell some worker to look at a shard, and for which request."""
        headers = {_REQUEST_ID: cause.request_id, _TRACEPARENT: cause.traceparent}
        try:
            self._app.send_task(
                RUN_SHARD,
                args=[str(shard_id)],
                # Celery's own log lines name the task's id, and with it the shard.
                task_id=f"{shard_id}.{new_id().hex[-8:]}",
                headers={name: value for name, value in headers.items() if value is not None},
                retry=False,
            )
        except (OperationalError, OSError) as error:
            raise BrokerUnavailable(str(error)) from error

    def has_forgotten(self) -> bool:
        """Whether the broker was emptied since `remember`, as by a restart without its data."""
        with self._client() as client:
            return not client.exists(self._marker)

    def remember(self) -> None:
        """Leave the marker that goes with everything else when the broker is emptied.

        Only after what was lost is on its way again: whoever dies in between leaves the broker
        without it, and another one finds that.
        """
        with self._client() as client:
            client.set(self._marker, outbox.CHANNEL)

    @contextmanager
    def _client(self) -> Iterator[Any]:
        try:
            with self._app.connection_or_acquire() as connection:
                yield connection.default_channel.client
        except (OperationalError, RedisError, OSError) as error:
            raise BrokerUnavailable(str(error)) from error
