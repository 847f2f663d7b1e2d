"""Backpressure: how many evaluations may wait at once."""

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from app.core.database import UNRESTRICTED
from app.core.errors import FeaturedriftError
from app.evaluations.tables import Evaluation

RETRY_AFTER_SECONDS = 30


class QueueFullError(FeaturedriftError):
    """So many evaluations wait that another one would only wait longer."""

    status, code, title = 429, "queue_full", "Queue full"


def admit(session: Session, limit: int) -> None:
    """Check that no more evaluations wait than may, with those that this transaction adds.

    What was accepted before stays. Requests that are in flight at the same moment do not see each
    other's, so that the limit may be passed by as many as there are.

    Args:
        limit: evaluations in the state `queued`, of all models; 0: any number.

    Raises:
        QueueFullError: more wait; nothing of this transaction may be kept.
    """
    if limit == 0:
        return
    waiting = select(literal(1)).where(Evaluation.state == "queued").limit(limit + 1).subquery()
    found = session.scalar(
        select(func.count()).select_from(waiting), execution_options={UNRESTRICTED: True}
    )
    if found is not None and found > limit:
        raise QueueFullError(
            f"{limit} evaluations wait for a worker already, as many as max_queued_evaluations "
            f"allows; nothing was registered or started, send it again in {RETRY_AFTER_SECONDS} s",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
