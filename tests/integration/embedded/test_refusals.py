"""What cannot start says why in one clear line, and leaves nothing running."""

import socket
import subprocess
from pathlib import Path

import pytest

from app.embedded.redis import RedisServer
from tests.integration.embedded.up import command, environment

NOWHERE = "postgresql://someone:secret@127.0.0.1:1/nothing"


def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**extra),
    )


def complaint(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that says what is wrong."""
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        line = complaint(run("up", "--data-dir", str(tmp_path / "data"), "--port", port))

    assert f"Port {port} on 127.0.0.1 cannot be used: Address already in use" in line
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_file_where_the_data_should_lie(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("notes")
    line = complaint(run("up", "--data-dir", str(tmp_path / "data"), "--port", "0"))
    assert f"{tmp_path / 'data'} cannot be used: File exists" in line
    assert "--data-dir" in line


@pytest.mark.parametrize("name", ["up", "api"])
def test_a_public_address_without_keys(name: str, tmp_path: Path) -> None:
    line = complaint(run(name, "--host", "0.0.0.0", FEATUREDRIFT_DATA_DIR=str(tmp_path / "data")))  # noqa: S104

    assert "Refusing to listen on 0.0.0.0" in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["up", "api", "dispatcher", "worker", "exporter", "migrate"])
def test_an_unreachable_postgres(name: str, tmp_path: Path) -> None:
    extra = {"DATABASE_URL": NOWHERE, "FEATUREDRIFT_DATA_DIR": str(tmp_path / "data")}
    extra |= {"FEATUREDRIFT_PORT": "0", "FEATUREDRIFT_EXPORTER_PORT": "0"}

    line = complaint(run(name, **extra))

    assert "Postgres at postgresql+psycopg://someone:***@127.0.0.1:1/nothing" in line
    assert "set DATABASE_URL" in line
    assert "secret" not in line


@pytest.mark.parametrize("name", ["up", "dispatcher", "worker"])
def test_an_unreachable_redis(name: str, database_url: str, tmp_path: Path) -> None:
    extra = {"DATABASE_URL": database_url, "FEATUREDRIFT_DATA_DIR": str(tmp_path / "data")}
    extra |= {"REDIS_URL": "redis://:secret@127.0.0.1:1/0", "FEATUREDRIFT_PORT": "0"}

    line = complaint(run(name, **extra))

    assert "Redis at redis://:***@127.0.0.1:1/0 does not answer" in line
    assert "secret" not in line


def test_a_database_of_another_release(
    database_url: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    from sqlalchemy import create_engine

    from app.core.migrate import downgrade

    engine = create_engine(database_url)
    downgrade(engine, "base")
    engine.dispose()
    urls = {"DATABASE_URL": database_url, "REDIS_URL": redis_server.url}

    line = complaint(run("dispatcher", **urls))
    migrated = run("migrate", **urls)

    assert "is at revision (empty)" in line
    assert "Run `featuredrift migrate`" in line
    assert migrated.returncode == 0
    assert "(empty) →" in migrated.stderr


def test_an_unknown_revision(database_url: str) -> None:
    line = complaint(run("migrate", "--revision", "nope", DATABASE_URL=database_url))

    assert "'nope'" in line


def test_impossible_settings() -> None:
    line = complaint(run("settings", FEATUREDRIFT_LEASE_SECONDS="1"))

    assert "lease_seconds=1.0" in line


def test_a_data_directory_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "precious.txt").write_text("mine")

    line = complaint(run("up", "--data-dir", str(tmp_path), "--port", "0"))

    assert "holds files but no Postgres data" in line
    assert (tmp_path / "postgres" / "precious.txt").read_text() == "mine"


def test_settings_show_no_secret() -> None:
    result = run("settings", "--json", DATABASE_URL=NOWHERE)

    assert result.returncode == 0
    assert "someone:***@" in result.stdout
    assert ":secret@" not in result.stdout


def test_a_check_without_an_api(tmp_path: Path) -> None:
    result = run("check", "m", "c", "--url", "http://127.0.0.1:1")

    assert result.returncode == 3
    assert "The API at http://127.0.0.1:1 does not answer" in complaint(result)
