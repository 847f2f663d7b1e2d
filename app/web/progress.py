"""How far an evaluation is, how fast it goes, and how long it may still take."""

from dataclasses import dataclass
from datetime import datetime

_WORDS = {
    "plan": "reading checkpoints and corpus",
    "capture": "capturing activations",
    "compare": "comparing and judging",
    "done": "done",
}


@dataclass(frozen=True)
class Progress:
    """What a person wants to know while they wait.

    Attributes:
        doing: the step in words.
        tenths: of the known shards, rounded down: what is read out when it changes.
        elapsed: seconds since the work began, or that it took.
        rate: shards a minute; None before it can be told.
        left: seconds for the shards that are known; None before it can be told.
    """

    doing: str
    done: int
    total: int
    tenths: int
    elapsed: float | None
    rate: float | None
    left: float | None


def progress_of(
    *,
    state: str,
    step: str,
    done: int,
    total: int,
    finished: int,
    started_at: datetime | None,
    ended_at: datetime | None,
    moment: datetime,
) -> Progress:
    """How far it is.

    Args:
        done, total: shards, with those that were captured for others.
        finished: shards that have ended since `started_at`: only these tell the rate.
        moment: the time now.
    """
    elapsed = None
    if started_at is not None:
        elapsed = max(0.0, ((ended_at or moment) - started_at).total_seconds())
    rate = left = None
    if elapsed and finished:
        rate = 60 * finished / elapsed
        # Before the plan is made, the captures are not among the shards.
        if ended_at is None and state == "running" and step != "plan" and total > done:
            left = 60 * (total - done) / rate
    return Progress(
        doing="waiting for a worker" if state == "queued" else _WORDS.get(step, step),
        done=done,
        total=total,
        tenths=10 * done // total if total else 0,
        elapsed=elapsed,
        rate=rate,
        left=left,
    )
