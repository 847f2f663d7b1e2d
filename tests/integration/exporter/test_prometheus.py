"""A real Prometheus scrapes the real exporter of a real Postgres, by the deployed rules."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import TextClause, create_engine, text
from sqlalchemy.engine import make_url

from app.core.database import Database
from app.embedded.environment import child_environment
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint
from app.settings import Settings
from tests.integration.embedded.up import wait_for
from tests.integration.exporter.rows import (
    add_control,
    add_evaluation,
    add_monitor,
    add_verdict,
)
from tests.integration.exporter.servers import (
    alertmanager,
    free_port,
    prometheus,
    receiver,
    running,
)


@contextmanager
def exporting(settings: Settings, folder: Path) -> Iterator[str]:
    """`featuredrift exporter`, looking at Postgres twice a second; yields its host and port."""
    port = str(free_port())
    quick = settings.model_copy(update={"exporter_refresh": 0.5, "exporter_statement_timeout": 2.0})
    command = (sys.executable, "-m", "app.cli", "exporter", "--port", port)
    address = f"127.0.0.1:{port}"
    folder.mkdir()
    with running(command, f"http://{address}/healthz", folder, env=child_environment(quick)):
        yield address


@pytest.fixture
def exporter(settings: Settings, tmp_path: Path) -> Iterator[str]:
    with exporting(settings, tmp_path / "exporter") as address:
        yield address


@contextmanager
def locked_out(settings: Settings) -> Iterator[None]:
    """Let nobody into the test's database for a while, as if it were away."""
    name = make_url(settings.database_url).database
    administrator = create_engine(
        make_url(settings.database_url).set(database="postgres"), isolation_level="AUTOCOMMIT"
    )

    def administer(statement: TextClause) -> None:
        with administrator.connect() as connection:
            connection.execute(statement)

    others = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    administer(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
    administer(others.bindparams(name=name))
    try:
        yield
    finally:
        administer(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
        administrator.dispose()


def get(url: str, path: str, **parameters: str) -> Any:
    """An answer of Prometheus."""
    answer = httpx.get(f"{url}/api/v1/{path}", params=parameters).raise_for_status().json()
    assert answer["status"] == "success"
    return answer["data"]


def firing(url: str) -> dict[tuple[str, str], dict[str, Any]]:
    """(alert, feature or control) → what fires now."""
    return {
        (
            alert["labels"]["alertname"],
            alert["labels"].get("feature") or alert["labels"].get("control", ""),
        ): alert
        for alert in get(url, "alerts")["alerts"]
        if alert["state"] == "firing"
    }


def drift(database: Database) -> str:
    """A watched feature that is paged, one that is untrusted, and a control that failed."""
    with database.unit_of_work() as session:
        monitor = add_monitor(session, watch=["quotes", "digits", "words"])
        evaluation = add_evaluation(session, monitor, "v2")
        figures = {"estimand": "identity_sparse", "effect": 0.5, "margin": 0.2}
        add_verdict(
            session,
            evaluation,
            "quotes",
            "drifted",
            paged=True,
            change="identity",
            diagnosis="lost",
            **figures,
        )
        add_verdict(session, evaluation, "digits", "untrusted", paged=True)
        add_verdict(session, evaluation, "words", "stable")
        add_control(session, evaluation, passed=False, control="permuted_labels")
        add_control(session, evaluation, passed=True)
        return str(evaluation.id)


def recover(database: Database) -> None:
    """The next checkpoint, in which all holds."""
    with database.unit_of_work() as session:
        monitor = session.query(Monitor).one()
        session.add(Checkpoint(model_id=monitor.model_id, name="v3", source="/models/v3"))
        session.flush()
        evaluation = add_evaluation(session, monitor, "v3", after=timedelta(hours=1))
        for feature in ("quotes", "digits", "words"):
            add_verdict(session, evaluation, feature, "stable")
        add_control(session, evaluation, passed=True, control="permuted_labels")


def test_rows_in_postgres_become_an_alert_that_outlives_a_database_that_is_away(
    exporter: str, database: Database, settings: Settings, tmp_path: Path
) -> None:
    evaluation = drift(database)
    with prometheus(tmp_path / "prometheus", exporter) as url:
        wait_for(lambda: ("FeatureDrifted", "quotes") in firing(url))
        wait_for(lambda: {("FeatureUntrusted", "digits"), CONTROL} <= set(firing(url)))
        raised = firing(url)

        assert ("FeatureDrifted", "digits") not in raised
        assert ("FeatureDrifted", "words") not in raised
        page = raised["FeatureDrifted", "quotes"]
        assert page["labels"] == {
            "alertname": "FeatureDrifted",
            "severity": "page",
            "scope": "watched",
            "job": "featuredrift-exporter",
            "model": "support-bot",
            "monitor": "nightly",
            "feature": "quotes",
        }
        assert page["annotations"]["description"].startswith(
            "Checkpoint v2 against v1: which tokens it fires on has changed by 2.5 margins, where "
            "1 is allowed. Diagnosis lost: "
        )
        assert page["annotations"]["evidence_url"].endswith(
            f"/evaluations/{evaluation}?comparison=baseline&feature=quotes"
        )
        assert page["annotations"]["api_url"].endswith(
            f"/v1/evaluations/{evaluation}/verdicts?comparison=baseline&feature=quotes"
        )
        assert page["annotations"]["page_url"].endswith(
            "/models/support-bot/monitors/nightly?feature=quotes"
        )
        assert_all_rules_work(url)

        with locked_out(settings):
            wait_for(lambda: ("ExporterReadingOld", "") in firing(url))
            away = firing(url)
        assert away["FeatureDrifted", "quotes"]["activeAt"] == page["activeAt"]
        assert set(raised) <= set(away)

        wait_for(lambda: ("ExporterReadingOld", "") not in firing(url))
        back = firing(url)
        assert back["FeatureDrifted", "quotes"]["activeAt"] == page["activeAt"]

        recover(database)
        wait_for(lambda: not firing(url).keys() & raised.keys())


CONTROL = ("ControlFailed", "permuted_labels")


def assert_all_rules_work(url: str) -> None:
    """Every rule was evaluated without an error, and the exporter's scrape was accepted."""
    rules = [rule for group in get(url, "rules")["groups"] for rule in group["rules"]]
    assert len(rules) == 27
    assert {rule["health"] for rule in rules} == {"ok"}, [r.get("lastError") for r in rules]
    targets = get(url, "targets")["activeTargets"]
    assert [(target["health"], target["lastError"]) for target in targets] == [("up", "")]


def test_an_exporter_that_is_gone_is_missed_and_takes_no_alert_with_it(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    drift(database)
    with ExitStack() as stack:
        lives = stack.enter_context(ExitStack())
        address = lives.enter_context(exporting(settings, tmp_path / "exporter"))
        url = stack.enter_context(prometheus(tmp_path / "prometheus", address))
        wait_for(lambda: ("FeatureDrifted", "quotes") in firing(url))
        page = firing(url)["FeatureDrifted", "quotes"]

        lives.close()
        wait_for(lambda: ("ExporterReadingOld", "") in firing(url))

        assert firing(url)["FeatureDrifted", "quotes"]["activeAt"] == page["activeAt"]


def test_the_page_reaches_its_receiver_and_the_untrusted_feature_is_silent(
    exporter: str, database: Database, tmp_path: Path
) -> None:
    drift(database)
    with (
        receiver() as received,
        alertmanager(tmp_path / "alertmanager", received.url) as manager,
        prometheus(tmp_path / "prometheus", exporter, manager) as url,
    ):
        wait_for(lambda: ("FeatureUntrusted", "digits") in firing(url))
        wait_for(lambda: received.alerts("/pager") and received.alerts("/tickets"))

        def silent() -> list[str]:
            alerts = httpx.get(f"{manager}/api/v2/alerts").raise_for_status().json()
            return [a["labels"]["alertname"] for a in alerts if a["status"]["inhibitedBy"]]

        wait_for(lambda: silent() == ["FeatureUntrusted"])

    pages = received.alerts("/pager")
    assert {alert["labels"]["feature"] for alert in pages} == {"quotes"}
    assert {alert["labels"]["alertname"] for alert in pages} == {"FeatureDrifted"}
    # Links are built from Prometheus' own labels, which are no part of an alert.
    assert not {name for alert in pages for name in alert["labels"] if name.endswith("_url")}
