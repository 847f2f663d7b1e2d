"""The ledger of the false-page budget, in a real database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from app.core.database import Database
from app.core.ids import new_id
from app.evaluations.tables import Evaluation
from app.monitors.page_budget import PageShare, quarter_of, remaining, reserve, share
from app.monitors.policy import DriftPolicy
from app.monitors.tables import Monitor, PageBudgetEntry
from tests.support.registry import add_evaluation

POLICY = DriftPolicy()


def _another(session: Session, first: Evaluation, *, created_at: datetime | None = None) -> UUID:
    evaluation = Evaluation(
        id=new_id(),
        monitor_id=first.monitor_id,
        checkpoint_id=first.checkpoint_id,
        baseline_checkpoint_id=first.baseline_checkpoint_id,
        corpus_id=first.corpus_id,
        feature_set_version_id=first.feature_set_version_id,
        policy=first.policy,
        inputs_digest=new_id().hex,
    )
    if created_at is not None:
        evaluation.created_at = created_at
    session.add(evaluation)
    session.flush()
    return evaluation.id


def _reserve(database: Database, evaluation: UUID) -> PageShare:
    with database.unit_of_work() as session:
        return reserve(session, session.get_one(Evaluation, evaluation), POLICY)


def test_an_evaluation_gets_one_share_however_often_it_asks(database: Database) -> None:
    with database.unit_of_work() as session:
        first = add_evaluation(session)
        quarter = quarter_of(first.created_at)
        second = _another(session, first)
        first_id = first.id
    share_of_first = _reserve(database, first_id)
    assert share_of_first == PageShare(share(1, POLICY.pages), 1, quarter, 0.05, planned=True)
    assert _reserve(database, second).ordinal == 2
    assert _reserve(database, first_id) == share_of_first


def test_workers_at_once_take_different_shares_and_the_budget_holds(database: Database) -> None:
    with database.unit_of_work() as session:
        first = add_evaluation(session)
        ids = [first.id, *(_another(session, first) for _ in range(23))]
        monitor_id = first.monitor_id
    with ThreadPoolExecutor(8) as pool:
        shares = list(pool.map(lambda evaluation: _reserve(database, evaluation), ids))
    assert sorted(found.ordinal for found in shares) == list(range(1, 25))
    assert sum(found.planned for found in shares) == 13
    spent = sum(found.alpha for found in shares)
    assert 0.04 < spent < 0.05
    with database.unit_of_work() as session:
        budget = remaining(session, session.get_one(Monitor, monitor_id))
    assert budget.remaining_ratio == pytest.approx(1 - spent / 0.05)


def test_each_quarter_has_a_budget_of_its_own(database: Database) -> None:
    with database.unit_of_work() as session:
        first = add_evaluation(session)
        old = _another(session, first, created_at=datetime(2024, 3, 31, 23, tzinfo=UTC))
        newer = _another(session, first, created_at=datetime(2024, 4, 1, tzinfo=UTC))
        monitor_id = first.monitor_id
    assert (_reserve(database, old).quarter, _reserve(database, old).ordinal) == (
        date(2024, 1, 1),
        1,
    )
    assert (_reserve(database, newer).quarter, _reserve(database, newer).ordinal) == (
        date(2024, 4, 1),
        1,
    )
    with database.unit_of_work() as session:
        assert remaining(session, session.get_one(Monitor, monitor_id)).remaining_ratio == 1


def test_what_is_spent_stays_spent_when_its_evaluation_is_gone(database: Database) -> None:
    with database.unit_of_work() as session:
        first = add_evaluation(session)
        second = _another(session, first)
        first_id, monitor_id = first.id, first.monitor_id
    alpha = _reserve(database, first_id).alpha
    with database.unit_of_work() as session:
        session.delete(session.get_one(Evaluation, first_id))
    assert _reserve(database, second).ordinal == 2
    with database.unit_of_work() as session:
        entry = session.get_one(PageBudgetEntry, (monitor_id, quarter_of(datetime.now(UTC)), 1))
        assert (entry.evaluation_id, entry.alpha) == (None, alpha)
