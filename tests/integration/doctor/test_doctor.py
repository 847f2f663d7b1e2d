"""`featuredrift doctor` on real servers: whole, and broken in one place after another."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from app.cli.doctor import examine
from app.cli.doctor.broker import check_broker
from app.cli.doctor.database import check_database
from app.cli.doctor.finding import Finding
from app.cli.doctor.processes import check_processes
from app.cli.doctor.storage import check_artifacts, check_data_dir, check_model_roots
from app.core.database import Database
from app.core.ids import new_id
from app.core.migrate import downgrade
from app.core.reachable import redis_client
from app.embedded.environment import child_environment
from app.embedded.redis import RedisServer, start_redis
from app.settings import Settings
from tests.integration.ledger.conftest import Actor
from tests.support.deployment import dispatching, wait_for


def _by_name(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def _changed(settings: Settings, **values: Any) -> Settings:
    return settings.model_copy(update=values)


def _closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "doctor", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def own_redis(servers_dir: Path) -> Iterator[RedisServer]:
    """A redis-server whose configuration may be spoilt."""
    server = start_redis(servers_dir / f"doctor-{new_id().hex[:8]}")
    yield server
    server.stop()


def test_a_whole_deployment_has_no_failures(settings: Settings) -> None:
    done = _run(child_environment(settings), "--json")
    report = json.loads(done.stdout)
    failed = [one for one in report["checks"] if one["status"] == "fail"]
    assert (done.returncode, failed, done.stderr) == (0, [], "")
    assert report["healthy"]
    assert {one["check"] for one in report["checks"] if one["status"] == "ok"} >= {
        *("versions", "settings", "database", "database rights", "clock", "migrations", "broker"),
        *("broker persistence", "broker memory", "artifact store", "model root", "gpu"),
    }


def test_with_everything_broken_each_check_says_what_to_do(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    port = _closed_port()
    environment = os.environ | {
        "DATABASE_URL": f"postgresql://u:s3cr3t@127.0.0.1:{port}/none",
        "REDIS_URL": f"redis://:s3cr3t@127.0.0.1:{port}/0",
        "FEATUREDRIFT_DATA_DIR": str(in_the_way),
        "FEATUREDRIFT_ARTIFACT_URL": "nosuch://place",
        "FEATUREDRIFT_MODEL_ROOTS": str(tmp_path / "none"),
        "FEATUREDRIFT_HOST": "0.0.0.0",  # noqa: S104 - refused
        "FEATUREDRIFT_DEVICE": "cuda",
        "FEATUREDRIFT_LEASE_SECOND": "5",
    }
    done = _run(environment)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "s3cr3t" not in done.stdout + done.stderr
    report = json.loads(_run(environment, "--json").stdout)
    wrong = {one["check"] for one in report["checks"] if one["status"] == "fail"}
    assert wrong >= {"database", "broker", "artifact store", "data directory", "model root"}
    assert wrong >= {"settings", "gpu"}
    assert all(one["advice"] for one in report["checks"] if one["status"] != "ok")
    assert "FEATUREDRIFT_LEASE_SECONDS" in done.stdout


def test_settings_that_cannot_be_read_leave_the_other_checks(tmp_path: Path) -> None:
    done = _run(os.environ | {"FEATUREDRIFT_PORT": "http", "FEATUREDRIFT_LEASE_SECONDS": "-1"})
    assert done.returncode == 1
    assert "port" in done.stdout
    assert "lease_seconds" in done.stdout
    assert "versions" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_another_releases_schema(settings: Settings) -> None:
    engine = create_engine(settings.database_url)
    downgrade(engine, "0006")
    engine.dispose()
    finding = _by_name(check_database(settings))["migrations"]
    assert finding.status == "fail"
    assert "0006" in finding.seen
    assert "featuredrift migrate" in finding.advice


def test_a_database_without_a_schema(settings: Settings) -> None:
    engine = create_engine(settings.database_url)
    downgrade(engine, "base")
    engine.dispose()
    found = _by_name([*check_database(settings), *check_processes(settings)])
    assert found["migrations"].status == "fail"
    assert "(empty)" in found["migrations"].seen
    assert found["processes"].status == "warn"


def test_a_user_that_may_only_read(settings: Settings) -> None:
    name = f"reader_{new_id().hex[:8]}"
    engine = create_engine(settings.database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}"))
    url = make_url(settings.database_url).set(username=name).render_as_string(hide_password=False)
    try:
        finding = _by_name(check_database(_changed(settings, database_url=url)))["database rights"]
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP OWNED BY {name}"))
            connection.execute(text(f"DROP ROLE {name}"))
        engine.dispose()
    assert finding.status == "fail"
    assert f"{name} may not read and write" in finding.seen
    assert finding.advice.endswith(name)


def test_a_read_only_database(settings: Settings) -> None:
    engine = create_engine(settings.database_url, isolation_level="AUTOCOMMIT")
    database = make_url(settings.database_url).database
    with engine.connect() as connection:
        connection.execute(
            text(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        )
    engine.dispose()
    finding = _by_name(check_database(settings))["database rights"]
    assert (finding.status, "read-only" in finding.seen) == ("fail", True)


def test_a_database_that_does_not_exist(settings: Settings) -> None:
    url = make_url(settings.database_url).set(database="nowhere")
    broken = _changed(settings, database_url=url.render_as_string(hide_password=False))
    (finding,) = check_database(broken)
    assert (finding.status, "nowhere" in finding.seen) == ("fail", True)


def test_a_broker_that_forgets_and_throws_away(settings: Settings, own_redis: RedisServer) -> None:
    broken = _changed(settings, redis_url=own_redis.url)
    with redis_client(broken) as client:
        client.config_set("appendonly", "no")
        client.config_set("maxmemory", 64 << 20)
        client.config_set("maxmemory-policy", "allkeys-lru")
    found = _by_name(check_broker(broken))
    assert found["broker"].status == "ok"
    assert found["broker persistence"].status == "warn"
    assert "appendonly yes" in found["broker persistence"].advice
    assert found["broker memory"].status == "fail"
    assert "noeviction" in found["broker memory"].advice


def test_a_broker_that_wants_another_password(settings: Settings, own_redis: RedisServer) -> None:
    broken = _changed(settings, redis_url=own_redis.url)
    with redis_client(broken) as client:
        client.config_set("requirepass", "s3cr3t")
    (finding,) = check_broker(broken)
    assert finding.status == "fail"
    assert "s3cr3t" not in finding.seen
    with redis.Redis(
        unix_socket_path=own_redis.url.removeprefix("redis+socket://").partition("?")[0],
        password="s3cr3t",
    ) as client:
        client.config_set("requirepass", "")


def test_a_replica_takes_no_messages(settings: Settings, own_redis: RedisServer) -> None:
    broken = _changed(settings, redis_url=own_redis.url)
    with redis_client(broken) as client:
        client.replicaof("127.0.0.1", _closed_port())
        found = _by_name(check_broker(broken))
        client.replicaof("NO", "ONE")
    assert (found["broker"].status, "primary" in found["broker"].advice) == ("fail", True)


def test_something_that_listens_but_is_no_redis(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        (finding,) = check_broker(_changed(settings, redis_url=f"redis://127.0.0.1:{port}/0"))
        thread.join(5)
    assert finding.status == "fail"


def test_artifacts_that_cannot_be_written(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = _changed(settings, artifact_url=(tmp_path / "file" / "store").as_uri())
    (finding,) = check_artifacts(broken)
    assert (finding.status, "cannot write to" in finding.seen) == ("fail", True)
    (finding,) = check_artifacts(settings)
    assert finding.status == "ok"
    assert not list(tmp_path.rglob("probe"))


def test_folders_that_are_none(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (finding,) = check_data_dir(_changed(settings, data_dir=tmp_path / "file" / "data"))
    assert finding.status == "fail"
    (finding,) = check_data_dir(_changed(settings, data_dir=tmp_path / "new" / "data"))
    assert "not made yet" in finding.seen
    roots = (tmp_path / "models", tmp_path / "file")
    found = list(check_model_roots(_changed(settings, model_roots=roots)))
    assert [one.status for one in found] == ["ok", "fail"]


@pytest.mark.parametrize(("torch", "status"), [(object(), "fail"), (None, "warn")])
def test_a_read_only_root_fails_workers_alone(
    torch: object, status: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere, and tests may run as root.
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    monkeypatch.setattr("app.cli.doctor.storage.find_spec", lambda _name: torch)
    (finding,) = check_data_dir(settings)
    assert (finding.status, "cannot be written" in finding.seen) == (status, True)


def test_who_works_is_seen(settings: Settings, database: Database) -> None:
    Actor(database).accept()
    found = _by_name(check_processes(settings))
    # A shard is queued and nobody will ever look at it.
    assert found["dispatcher"].status == "fail"
    assert "1 shards are queued" in found["dispatcher"].seen
    with dispatching(settings):
        wait_for(lambda: _by_name(check_processes(settings))["dispatcher"].status == "ok")


def test_examining_raises_nothing_whatever_is_broken(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = _changed(settings, redis_url="nonsense", database_url="postgresql+psycopg://[")
    monkeypatch.setattr("app.cli.doctor.get_settings", lambda: broken)
    found = _by_name(examine())
    assert (found["broker"].status, found["database"].status) == ("fail", "fail")
