"""What the exporter says of itself: before the first reading, without Postgres, as a process."""

import signal
import socket
import subprocess
import sys

import httpx
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from app.core.database import Database
from app.embedded.environment import child_environment
from app.exporter.refresher import Refresher
from app.exporter.server import Exporter
from app.settings import Settings
from tests.integration.embedded.up import wait_for
from tests.integration.exporter.rows import (
    judge_by_hand,
)
from tests.integration.exporter.scraping import named, scrape


def test_an_empty_database_has_no_values_and_no_errors(exporter: Exporter) -> None:
    samples = scrape(exporter)

    assert named(samples, "exporter_up")[()] == 1
    assert named(samples, "exporter_reading_errors_total")[()] == 0
    assert named(samples, "shards", "state") == {("queued",): 0.0, ("running",): 0.0}
    assert not [name for name, labels in samples if "monitor" in dict(labels)]


def test_before_the_first_reading_only_health_is_shown(exporter: Exporter) -> None:
    samples = scrape(exporter, refresh=False)

    assert {name for name, _ in samples} == {
        "featuredrift_exporter_up",
        "featuredrift_exporter_reading_errors_total",
    }
    assert named(samples, "exporter_up")[()] == 0


def test_values_vanish_while_postgres_is_away_and_come_back_with_it(
    exporter: Exporter, database: Database, settings: Settings
) -> None:
    judge_by_hand(database)
    present = scrape(exporter)
    database.dispose()
    name = make_url(settings.database_url).database
    administrator = create_engine(
        make_url(settings.database_url).set(database="postgres"), isolation_level="AUTOCOMMIT"
    )

    def administer(statement: str) -> None:
        with administrator.connect() as connection:
            connection.execute(text(statement))

    administer(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    administer(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'featuredrift-exporter'"
    )
    away = scrape(exporter)
    administer(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    back = scrape(exporter)
    administrator.dispose()

    assert {name for name, _ in away} == {
        "featuredrift_exporter_up",
        "featuredrift_exporter_reading_age_seconds",
        "featuredrift_exporter_reading_errors_total",
    }
    assert named(away, "exporter_up")[()] == 0
    assert named(away, "exporter_reading_errors_total")[()] >= 1
    assert named(away, "exporter_reading_age_seconds")[()] > 0
    assert named(back, "exporter_up")[()] == 1
    assert named(back, "features", "verdict") == named(present, "features", "verdict")


def test_a_reading_that_is_too_old_is_not_shown(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge_by_hand(database)
    refresher = Refresher(settings)
    refresher.refresh()
    assert refresher.state().reading is not None
    monkeypatch.setattr(refresher, "_oldest", 0.0)

    state = refresher.state()
    refresher.close()

    assert state.reading is None
    assert state.age is not None


def test_a_statement_that_takes_too_long_is_given_up(
    settings: Settings, database: Database
) -> None:
    judge_by_hand(database)
    refresher = Refresher(settings.model_copy(update={"exporter_statement_timeout": 0.2}))
    with database.unit_of_work() as session:
        session.execute(text("LOCK TABLE verdicts IN ACCESS EXCLUSIVE MODE"))
        refresher.refresh()
    stuck = refresher.state()
    refresher.refresh()
    free = refresher.state()
    refresher.close()

    assert stuck.reading is None
    assert stuck.errors == 1
    assert free.reading is not None


def test_the_process_serves_both_formats_and_ends_on_sigterm(
    settings: Settings, database: Database
) -> None:
    judge_by_hand(database)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "exporter", "--port", port],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=child_environment(settings),
    )
    try:
        url = f"http://127.0.0.1:{port}"

        def fetch(accept: str) -> httpx.Response | None:
            try:
                return httpx.get(f"{url}/metrics", headers={"accept": accept})
            except httpx.TransportError:
                return None

        wait_for(lambda: (r := fetch("")) and "featuredrift_exporter_up 1.0" in r.text)
        openmetrics = fetch("application/openmetrics-text; version=1.0.0")
        health = httpx.get(f"{url}/healthz")
    finally:
        process.terminate()
        code = process.wait(30)

    assert openmetrics is not None
    families = {family.name: family for family in parse_openmetrics(openmetrics.text)}
    assert families["featuredrift_evaluations"].type == "counter"
    assert families["featuredrift_checkpoint"].type == "info"
    assert families["featuredrift_evaluation_duration_seconds"].type == "histogram"
    assert health.status_code == 200
    assert code in (0, -signal.SIGTERM)
