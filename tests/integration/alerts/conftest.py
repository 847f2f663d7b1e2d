"""One monitored model line on a real Postgres, whose evaluations tests end as workers do."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.alerts.service import Change, follow
from app.alerts.tables import Alert
from app.core.database import Database
from app.evaluations import ledger
from app.main import create_app
from app.settings import Settings
from app.webhooks.tables import Delivery, Webhook
from tests.support.api import finish, register_checkpoint, register_line, verdict

WATCHED = ["number", "up"]
PAGED: dict[str, Any] = {
    "change": "identity",
    "paged": True,
    "effect": 0.41,
    "lower": 0.35,
    "upper": 0.47,
    "diagnosis": "rotated",
    "diagnosis_evidence": {"label": "rotated", "reason": "an orthogonal map brings it back"},
    "pages": {"paged": True, "alpha": 0.003, "critical": 4.4, "intervals": {}},
}


class Line:
    """Model `bot`, watched by the monitor `watch`, and its alerts."""

    def __init__(self, client: TestClient, settings: Settings, database: Database) -> None:
        self.client, self.settings, self.database = client, settings, database
        self.features: dict[str, str] = {}

    def register(self, name: str) -> UUID:
        """One more checkpoint; the evaluation that the API starts for it."""
        (evaluation,) = register_checkpoint(self.client, self.settings, name)["evaluations"]
        return UUID(evaluation)

    def succeed(
        self,
        evaluation: UUID,
        *rows: dict[str, Any],
        controls: Sequence[dict[str, Any]] = (),
        summary: dict[str, Any] | None = None,
    ) -> list[tuple[str, str]]:
        """End it with results, in one transaction; (event, subject) of each change."""
        with self.database.unit_of_work() as session:
            ledger.lock_evaluation(session, evaluation)
            named = [{**row, "feature_id": self.features.get(row["feature"])} for row in rows]
            finish(session, evaluation, named, controls=list(controls), summary=summary)
            return _told(follow(session, evaluation))

    def judge(self, name: str, *rows: dict[str, Any], **ended: Any) -> list[tuple[str, str]]:
        """Register a checkpoint and end its evaluation."""
        return self.succeed(self.register(name), *rows, **ended)

    def fail(self, evaluation: UUID, detail: str = "the weights cannot be read") -> None:
        """End it as the ledger does when a shard has failed for good."""
        with self.database.unit_of_work() as session:
            ledger.lock_evaluation(session, evaluation)
            error = ledger.failure("unreadable", detail)
            ledger.end_evaluations(session, [evaluation], state="failed", error=error)

    def follow(self, evaluation: UUID) -> list[tuple[str, str]]:
        with self.database.unit_of_work() as session:
            return _told(follow(session, evaluation))

    def alerts(self, **where: Any) -> list[Alert]:
        """Alerts, oldest first."""
        with self.database.unit_of_work() as session:
            return list(session.scalars(select(Alert).filter_by(**where).order_by(Alert.id)))

    def alert(self, **where: Any) -> Alert:
        """The only one."""
        (alert,) = self.alerts(**where)
        return alert

    def acknowledge(self, alert: Alert, by: str = "ada", note: str | None = None) -> None:
        response = self.client.post(
            f"/v1/alerts/{alert.id}:acknowledge", json={"by": by, "note": note}
        )
        assert response.status_code == 200, response.text

    def events(self) -> list[str]:
        """Events of alerts that are to be delivered, oldest first."""
        with self.database.unit_of_work() as session:
            return list(
                session.scalars(
                    select(Delivery.event)
                    .where(Delivery.event.like("alert.%"))
                    .order_by(Delivery.id)
                )
            )

    def change_monitor(self, **fields: Any) -> None:
        """PATCH the monitor."""
        etag = self.client.get("/v1/monitors/watch").headers["ETag"]
        response = self.client.patch("/v1/monitors/watch", json=fields, headers={"If-Match": etag})
        assert response.status_code == 200, response.text


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """The real application."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def line(client: TestClient, settings: Settings, database: Database) -> Line:
    """A line with a webhook that wants every event, and a watchlist of two of three features."""
    register_line(client, settings, watchlist=WATCHED)
    with database.unit_of_work() as session:
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        session.add(
            Webhook(
                url="https://hooks.example/featuredrift",
                events=[],
                models=[],
                monitors=[],
                secret=secret,
            )
        )
    line = Line(client, settings, database)
    version = client.get("/v1/feature-sets/set/versions/1").json()
    line.features = {feature["name"]: feature["id"] for feature in version["features"]}
    return line


def paged(feature: str = "number", **changes: Any) -> dict[str, Any]:
    """A verdict that somebody is woken for."""
    return verdict(feature, "drifted", **{**PAGED, **changes})


def control(name: str, passed: bool | None, detail: str = "it says so") -> dict[str, Any]:
    """A row of `controls`."""
    return {"control": name, "passed": passed, "detail": detail, "figures": {}}


def _told(changes: Sequence[Change]) -> list[tuple[str, str]]:
    return [(change.event, change.alert.subject) for change in changes]


__all__ = ["Line", "control", "paged", "verdict"]
