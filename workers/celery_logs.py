"""Celery's own log lines name the shard and the request, as ours do.

The parent of the pool receives messages and watches the children; it claims nothing, so that what
it knows is what the message says. A child binds the same before Celery hands it the task.
"""

import re
from collections import OrderedDict
from collections.abc import MutableMapping
from typing import Any

from celery.signals import task_failure, task_postrun, task_prerun, task_received

from app.core import correlation
from app.core.correlation import NO_CAUSE, Correlation
from app.core.logging import get_logger
from app.evaluations.broker import RUN_SHARD, cause_of

_TASK = re.compile(
    re.escape(RUN_SHARD)
    + r"\[(?P<task>(?P<shard>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})[^\]]*)\]"
)
_MOST = 1000

log = get_logger(__name__)

_received: OrderedDict[str, Correlation] = OrderedDict()
"""What caused the tasks of late, by the task's id."""


def connect() -> None:
    """Listen to Celery's signals, in the parent and in its children."""
    task_received.connect(_remember, weak=False)
    task_prerun.connect(_bind, weak=False)
    task_postrun.connect(_unbind, weak=False)
    task_failure.connect(_say, weak=False)


def name_shard(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: a line about a task bears the names of its shard and request."""
    found = _TASK.search(str(event.get("event", "")))
    if found is not None:
        event.setdefault("shard", found["shard"])
        for name, value in _received.get(found["task"], NO_CAUSE).names().items():
            event.setdefault(name, value)
    return event


def shard_of(task_id: str) -> str:
    """The shard that a task's id names."""
    return task_id.partition(".")[0]


def _remember(request: Any, **_: Any) -> None:
    _received[request.id] = cause_of(request.request_dict)
    while len(_received) > _MOST:
        _received.popitem(last=False)


def _bind(task_id: str, task: Any, **_: Any) -> None:
    cause = cause_of(vars(task.request))
    correlation.begin(cause, shard=shard_of(task_id))


def _unbind(**_: Any) -> None:
    correlation.begin(NO_CAUSE)


def _say(task_id: str, exception: BaseException, **_: Any) -> None:
    # Celery's line about a child that was killed names no task.
    cause = _received.get(task_id)
    if cause is not None:
        names = cause.names()
        log.error("a task has failed", shard=shard_of(task_id), error=repr(exception), **names)
