"""Events of the audit trail, as they are asked for; nobody changes them."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from app.access import audit
from app.core.database import Database


def test_audit_events_are_added_filtered_and_never_changed(
    client: TestClient, database: Database
) -> None:
    with database.unit_of_work() as session:
        for number in range(3):
            audit.record(
                session,
                actor="ada" if number else "bob",
                action="checkpoint.marked_benign",
                subject_id=f"bot/{number}",
                detail={"note": number},
            )
        with pytest.raises(ValueError, match="is no action"):
            audit.record(session, actor="ada", action="benign", subject_id="bot/1")

    def subjects(**query: Any) -> list[str]:
        answer = client.get("/v1/audit-events", params=query).json()
        return [event["subject_id"] for event in answer["items"]]

    assert subjects() == ["bot/2", "bot/1", "bot/0"]
    assert subjects(actor="ada", limit=1) == ["bot/2"]
    assert subjects(subject_kind="checkpoint", subject_id="bot/0") == ["bot/0"]
    assert subjects(action="repair.accepted") == []
    for statement in (
        "UPDATE audit_events SET actor = 'eve'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
    ):
        with (
            pytest.raises(ProgrammingError, match="only added to"),
            database.unit_of_work() as session,
        ):
            session.execute(text(statement))
    assert subjects() == ["bot/2", "bot/1", "bot/0"]
