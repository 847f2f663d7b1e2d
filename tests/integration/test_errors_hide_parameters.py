"""Errors of the database are logged: they must not hold what was to be written."""

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from app.core.database import Database
from app.core.ids import new_id
from app.webhooks.tables import Webhook


def test_a_refused_statement_does_not_tell_its_parameters(database: Database) -> None:
    row = {
        "id": new_id(),
        "url": "https://hooks.example.com/",
        "events": [],
        "models": [],
        "monitors": [],
        "secret": "whsec_hidden",
        "enabled": True,
        "disabled_reason": "but enabled",
    }
    with pytest.raises(IntegrityError) as refused, database.unit_of_work() as session:
        session.execute(insert(Webhook), [row])
    assert "INSERT INTO webhooks" in str(refused.value)
    assert "disabled_reason" in str(refused.value)
    assert "[SQL parameters hidden" in str(refused.value)
