"""Consuming goes on after an acknowledgement has failed.

A worker asks for no more messages than it may hold unacknowledged. When Redis is away at the moment
a task ends, its acknowledgement fails, is logged and forgotten (kombu's `ack_log_error`), but the
message is counted as held for as long as the connection lives. Enough of these, and the worker
waits for ever, connected and idle. It has to notice by itself, and to connect anew.
"""

from typing import Any

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer.tasks import Tasks
from redis.exceptions import ConnectionError as RedisConnectionError

from app.core.logging import get_logger

CHECK_SECONDS = 2.0

log = get_logger(__name__)


def lost_credit(consumer: Any) -> int:
    """Messages that the channel counts as held although no task here stands for them."""
    qos = consumer.task_consumer.channel.qos
    held = len(qos._delivered) - len(qos._dirty)
    return max(held - len(state.reserved_requests), 0)


class ReclaimCredit(bootsteps.StartStopStep):
    """Looks for lost credit now and then; what it finds is treated as a lost connection."""

    requires = (Tasks,)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._lost_before = False

    def start(self, consumer: Any) -> None:
        """Celery cancels the timer with the connection that it was set for."""
        self._lost_before = False
        consumer.timer.call_repeatedly(CHECK_SECONDS, self._check, (consumer,))

    def stop(self, consumer: Any) -> None:
        """Nothing is held."""

    def _check(self, consumer: Any) -> None:
        lost = lost_credit(consumer)
        # A message may be between its arrival and its task for a moment, not for two checks.
        if lost and self._lost_before:
            log.warning("messages could not be acknowledged, connecting anew", messages=lost)
            raise RedisConnectionError(f"{lost} messages could not be acknowledged")
        self._lost_before = bool(lost)
