"""What a webhook can be told of."""

from typing import Literal, get_args

EventType = Literal[
    "alert.opened",
    "alert.updated",
    "alert.acknowledged",
    "alert.resolved",
    "evaluation.finished",
]
EVENT_TYPES: tuple[str, ...] = get_args(EventType)
TEST_EVENT = "webhook.test"
