"""Readings go on, whatever one of them meets."""

from sqlalchemy import text

from app.core.database import Database
from app.exporter.refresher import Refresher
from app.settings import Settings
from tests.integration.embedded.up import wait_for
from tests.integration.exporter.rows import judge_by_hand


def _set_policies(database: Database, policy: str) -> None:
    with database.unit_of_work() as session:
        session.execute(text("UPDATE monitors SET policy = CAST(:p AS jsonb)"), {"p": policy})


def test_a_row_that_cannot_be_read_ends_no_later_reading(
    settings: Settings, database: Database
) -> None:
    judge_by_hand(database)
    _set_policies(database, '{"q": "often"}')
    refresher = Refresher(settings.model_copy(update={"exporter_refresh": 0.05}))
    refresher.start()
    try:
        wait_for(lambda: refresher.state().errors >= 2)
        assert refresher.state().reading is None
        _set_policies(database, "{}")
        wait_for(lambda: refresher.state().reading is not None)
    finally:
        refresher.close()
