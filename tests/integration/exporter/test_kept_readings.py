"""What is not read again is what would have been read."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from app.core.database import Database
from app.exporter.reading import Reading
from app.exporter.take import take_reading
from app.monitors.tables import Monitor
from tests.integration.exporter.rows import add_evaluation, add_verdict, judge_by_hand
from tests.support.statements import statements


def take(database: Database, before: Reading | None = None) -> Reading:
    with database.unit_of_work() as session:
        reading = take_reading(session, 5.0, before)
    # Ages of what waits go on.
    return replace(reading, outbox_oldest_age=0.0, shards_oldest_queued_age=0.0)


def test_a_reading_after_a_reading_is_a_fresh_one(database: Database) -> None:
    judge_by_hand(database)
    before = take(database)
    assert before.latest[0].features
    with statements(database) as seen:
        assert take(database, before) == before
    assert not [statement for statement in seen if "FROM verdicts" in statement]

    # Another watchlist, then another evaluation.
    with database.unit_of_work() as session:
        monitor = session.scalars(select(Monitor)).one()
        monitor.watchlist = ["digits"]
        monitor.version += 1
    changed = take(database, before)
    assert changed == take(database)
    assert [feature.name for feature in changed.latest[0].features] == ["digits"]

    with database.unit_of_work() as session:
        monitor = session.scalars(select(Monitor)).one()
        newer = add_evaluation(session, monitor, "v2", after=timedelta(hours=1))
        add_verdict(session, newer, "digits", "drifted")
    judged = take(database, changed)
    assert judged == take(database)
    assert judged.latest[0].features[0].verdict == "drifted"
