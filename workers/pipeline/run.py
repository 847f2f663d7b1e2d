"""One attempt at one shard: claim it, keep its lease, do the work, record what became of it."""

import os
import socket
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy.orm import Session

from app.core import telemetry
from app.core.correlation import NO_CAUSE, Correlation, correlated
from app.core.faults import fault_point
from app.core.logging import get_logger
from app.evaluations import ledger, snapshots
from app.evaluations.ledger import Claim, StaleAttempt
from app.evaluations.subjects import subjects
from workers.errors import EvaluationError, SnapshotCorruptError
from workers.pipeline.capture import capture
from workers.pipeline.compare import compare
from workers.pipeline.context import Context, get_context
from workers.pipeline.lease import Lease
from workers.pipeline.plan import plan
from workers.snapshots import folder

_WORK: dict[str, Callable[[Context, Claim, Lease], None]] = {
    "plan": plan,
    "capture": capture,
    "compare": compare,
}
_DETAIL_LIMIT = 2000

log = get_logger(__name__)


def run_shard(
    shard_id: UUID, context: Context | None = None, *, cause: Correlation = NO_CAUSE
) -> None:
    """Work on a shard if nobody else does and it is not finished yet.

    Returns without an error in every case that the ledger has recorded: finished, failed, to be
    tried again, or taken over by another worker.

    Args:
        cause: the request that the message was published for; where it names none, the shard does.
    """
    context = context or get_context()
    settings = context.settings

    def claim_shard(session: Session) -> tuple[Claim, dict[str, Any]] | None:
        claim = ledger.claim(
            session,
            shard_id,
            worker=f"{socket.gethostname()}:{os.getpid()}",
            lease_seconds=settings.lease_seconds,
            max_attempts=settings.max_attempts,
        )
        return (claim, subjects(session, claim)) if claim is not None else None

    fault_point("before-claim")
    with correlated(cause, shard=str(shard_id)):
        claimed = context.settle(claim_shard)
        if claimed is None:
            log.debug("nothing to claim")
            return
        claim, names = claimed
    # The message's span is nearer than the shard's; a message of the last release has neither.
    cause = Correlation(
        claim.request_id or cause.request_id, cause.traceparent or claim.traceparent
    )
    names = {"shard": str(shard_id), "kind": claim.kind, "attempt": claim.attempt, **names}
    with (
        telemetry.span(
            claim.kind,
            kind="consumer",
            parent=cause.traceparent,
            featuredrift__request_id=cause.request_id,
            **{f"featuredrift__{name}": value for name, value in names.items()},
        ) as span,
        correlated(Correlation(cause.request_id, span.traceparent or cause.traceparent), **names),
    ):
        _work_on(context, claim)


def _work_on(context: Context, claim: Claim) -> None:
    began = time.monotonic()
    log.info("shard claimed", position=claim.position)
    with Lease(
        context.heartbeats,
        claim,
        lease_seconds=context.settings.lease_seconds,
        heartbeat_seconds=context.settings.heartbeat_seconds,
    ) as lease:
        _attempt(context, claim, lease)
    fault_point("before-ack", claim.kind)
    log.info("shard left", seconds=round(time.monotonic() - began, 3))


def _attempt(context: Context, claim: Claim, lease: Lease) -> None:
    try:
        fault_point("after-claim", claim.kind)
        _WORK[claim.kind](context, claim, lease)
    except StaleAttempt:
        log.info("the shard is no longer ours")
    except SnapshotCorruptError as error:
        _remove(context, claim, error.key)
        _fail(
            context,
            claim,
            error.code,
            f"{error.detail}; the snapshot was removed, retry the evaluation to capture it again",
        )
    except EvaluationError as error:
        _fail(context, claim, error.code, error.detail)
    except SoftTimeLimitExceeded:
        limit = context.settings.shard_soft_limit
        _try_again(
            context,
            claim,
            "timed_out",
            f"it did not finish within {limit:g} s (FEATUREDRIFT_SHARD_SOFT_LIMIT); use smaller "
            "shards (FEATUREDRIFT_TOKENS_PER_SHARD) or raise the limit",
        )
    # Whatever it was, it is logged with its traceback and told to a person by the ledger.
    except Exception as error:
        log.exception("failed, to be tried again")
        _try_again(context, claim, "error", f"{type(error).__name__}: {_line(error)}")


def _remove(context: Context, claim: Claim, key: str) -> None:
    # Out of the way with it, or every retry would find it complete and fail on it again; under the
    # snapshot's lock, or what another evaluation captures anew meanwhile would go too.
    def work(session: Session) -> None:
        if snapshots.is_complete_for(session, claim, key):
            context.store.delete_prefix(folder(key))

    _record(context, work)


def _fail(context: Context, claim: Claim, code: str, detail: str) -> None:
    log.warning("failed for good", code=code, detail=detail)
    telemetry.current_span().fail(code)
    permanent = ledger.failure(code, detail[:_DETAIL_LIMIT])
    _record(context, lambda session: snapshots.fail_permanently(session, claim, permanent))


def _try_again(context: Context, claim: Claim, code: str, detail: str) -> None:
    telemetry.current_span().fail(code)
    error = ledger.failure(code, detail[:_DETAIL_LIMIT])
    _record(context, lambda session: ledger.requeue(session, claim, error))
    _record(
        context,
        lambda session: snapshots.fail_exhausted(
            session, claim.shard_id, context.settings.max_attempts
        ),
    )


def _record(context: Context, work: Callable[[Session], object]) -> None:
    try:
        context.settle(work)
    except StaleAttempt:
        log.info("the shard is no longer ours")


def _line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:500]
