"""The first step of an evaluation: read the sources, cut the corpus, name the snapshots."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import telemetry
from app.core.faults import fault_point
from app.evaluations import ledger
from app.evaluations.ledger import Claim
from app.evaluations.snapshots import SnapshotNeed, plan_evaluation
from app.evaluations.tables import Evaluation, Snapshot
from workers.errors import EvaluationError
from workers.pipeline.artifacts import check_complete, hold_files
from workers.pipeline.context import Context
from workers.pipeline.lease import Lease
from workers.pipeline.needs import snapshot_needs
from workers.pipeline.question import SideUnusableError, read_question


def plan(context: Context, claim: Claim, lease: Lease) -> None:
    """Resolve the checkpoints, tokenize the corpus, and enqueue the snapshots that are missing.

    Raises:
        EvaluationError: a checkpoint is missing, broken or not what it was.
        StaleAttempt: the claim is lost.
    """
    with context.database.unit_of_work() as session:
        question = read_question(session, session.get_one(Evaluation, claim.evaluation_id))
        ledger.start_evaluation(session, question.evaluation.id)
    unusable: dict[str, str] = {}
    last = claim.attempt >= context.settings.max_attempts
    while True:
        try:
            needs = snapshot_needs(context, question, lease, last_attempt=last)
            break
        except SideUnusableError as error:
            unusable[error.role] = error.detail
            question = question.without(error.role)
    telemetry.current_span().set(
        featuredrift__snapshots=len({need.key for need in needs}),
        featuredrift__features=len(question.target.features) or None,
    )
    vanished = _vanished(context, needs)
    lease.check()
    fault_point("before-finish", claim.kind)

    def settle(session: Session) -> None:
        hold_files(session, context.store, sorted({need.plan["tokens_key"] for need in needs}))
        plan_evaluation(session, claim, needs, vanished=vanished, unusable=unusable)

    context.settle(settle)


def _vanished(context: Context, needs: Sequence[SnapshotNeed]) -> set[str]:
    """Complete snapshots whose artifact is no longer in the store, or unreadable."""
    inputs: dict[str, dict[str, Any]] = {need.key: need.inputs for need in needs}
    with context.database.unit_of_work() as session:
        complete = session.scalars(
            select(Snapshot.key).where(Snapshot.key.in_(inputs), Snapshot.state == "complete")
        ).all()
    vanished = set()
    for key in complete:
        try:
            check_complete(context.store, key, inputs[key])
        except EvaluationError:
            vanished.add(key)
    return vanished
