"""The false-page budget of a monitor: what each evaluation of a calendar quarter may spend.

An evaluation that pages at level α_k wakes someone for nothing with a probability of at most α_k;
by Boole's inequality a quarter does so with at most Σ α_k, whatever the dependence between
checkpoints. The planned evaluations divide a fixed share of the quarter's α evenly; the j-th one
beyond them gets 6/(π² j²) of the rest, a series with the sum 1 (Euler 1735): it never ends, and
never overspends.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import pi

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.clock import now
from app.evaluations.tables import Evaluation
from app.monitors.policy import DriftPolicy, PagePolicy
from app.monitors.tables import Monitor, PageBudgetEntry

_TOLERANCE = 1e-9
"""Relative; sums of shares are exact to within rounding."""


@dataclass(frozen=True)
class PageShare:
    """What one evaluation may spend."""

    alpha: float
    """Level for its pages together; 0 when the budget was cut below what is already spent."""
    ordinal: int
    """1 for the quarter's first evaluation."""
    quarter: date
    """The quarter's first day, UTC."""
    total: float
    """The quarter's whole budget by the policy of this evaluation."""
    planned: bool


@dataclass(frozen=True)
class Budget:
    """How much of a quarter's budget is left."""

    quarter: date
    total: float
    spent: float

    @property
    def remaining_ratio(self) -> float:
        """Between 0 (all is spent) and 1 (nothing is)."""
        return max(0.0, 1 - self.spent / self.total)


def share(ordinal: int, policy: PagePolicy) -> float:
    """The level of a quarter's `ordinal`-th evaluation; over all ordinals the sum is `alpha`.

    Raises:
        ValueError: the ordinal is below 1.
    """
    if ordinal < 1:
        raise ValueError(f"ordinals start at 1, not {ordinal}")
    if is_planned(ordinal, policy):
        return policy.alpha * policy.planned_share / policy.planned_checkpoints
    beyond = ordinal - policy.planned_checkpoints
    return policy.alpha * (1 - policy.planned_share) * 6 / (pi * beyond) ** 2


def is_planned(ordinal: int, policy: PagePolicy) -> bool:
    """Whether a quarter is planned to have that many evaluations."""
    return ordinal <= policy.planned_checkpoints


def affordable(wanted: float, total: float, spent: float) -> float:
    """A share that does not overspend, also where the policy changed within the quarter.

    Under one policy every share fits. After a cut of the budget, what does not fit gets half of
    what is left, so that something is left for the next one.
    """
    left = total - spent
    if wanted <= left + _TOLERANCE * total:
        return wanted
    return max(0.0, left) / 2


def quarter_of(moment: datetime) -> date:
    """The first day of a moment's calendar quarter, UTC."""
    utc = moment.astimezone(UTC)
    return date(utc.year, 3 * ((utc.month - 1) // 3) + 1, 1)


def reserve(session: Session, evaluation: Evaluation, policy: DriftPolicy) -> PageShare:
    """The evaluation's share of its monitor's budget; asked again, the same answer.

    The caller commits. The monitor's row is locked meanwhile, so that two workers never take the
    same share; it comes after the ledger's rows in the order of locks, and nothing else is locked
    while it is held.

    Args:
        policy: the policy that the evaluation was accepted with.
    """
    session.execute(
        select(Monitor.id)
        .where(Monitor.id == evaluation.monitor_id)
        .with_for_update(key_share=True)
    )
    total = policy.pages.alpha
    entry = session.scalars(
        select(PageBudgetEntry).where(PageBudgetEntry.evaluation_id == evaluation.id)
    ).one_or_none()
    if entry is None:
        quarter = quarter_of(evaluation.created_at)
        taken, spent = session.execute(
            select(
                func.coalesce(func.max(PageBudgetEntry.ordinal), 0),
                func.coalesce(func.sum(PageBudgetEntry.alpha), 0.0),
            ).where(
                PageBudgetEntry.monitor_id == evaluation.monitor_id,
                PageBudgetEntry.quarter == quarter,
            )
        ).one()
        ordinal = taken + 1
        entry = PageBudgetEntry(
            monitor_id=evaluation.monitor_id,
            quarter=quarter,
            ordinal=ordinal,
            evaluation_id=evaluation.id,
            planned=is_planned(ordinal, policy.pages),
            alpha=affordable(share(ordinal, policy.pages), total, spent),
        )
        session.add(entry)
        session.flush()
    return PageShare(entry.alpha, entry.ordinal, entry.quarter, total, entry.planned)


def remaining(session: Session, monitor: Monitor) -> Budget:
    """What is left of the monitor's budget in the current quarter, by its policy as it is now."""
    quarter = quarter_of(now())
    spent = session.scalar(
        select(func.coalesce(func.sum(PageBudgetEntry.alpha), 0.0)).where(
            PageBudgetEntry.monitor_id == monitor.id, PageBudgetEntry.quarter == quarter
        )
    )
    policy = DriftPolicy.model_validate(monitor.policy)
    return Budget(quarter, policy.pages.alpha, spent or 0.0)
