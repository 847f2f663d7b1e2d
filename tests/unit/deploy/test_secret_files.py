"""Settings may lie in files, one each, as container engines mount secrets."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATABASE_URL", "REDIS_URL", "FEATUREDRIFT_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FEATUREDRIFT_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_urls_are_read_from_files(secrets: Path) -> None:
    (secrets / "database_url").write_text("postgresql://fd:hidden@db/featuredrift\n")
    (secrets / "redis_url").write_text("redis://:hidden@broker:6379/0\n")

    settings = Settings()

    assert settings.database_url == "postgresql+psycopg://fd:hidden@db/featuredrift"
    assert settings.redis_url == "redis://:hidden@broker:6379/0"
    assert "hidden" not in str(settings.printable())
    assert {"database_url", "redis_url"} <= settings.model_fields_set


def test_a_variable_wins_over_a_file(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "redis_url").write_text("redis://from-a-file/0")
    monkeypatch.setenv("REDIS_URL", "redis://from-a-variable/0")

    assert Settings().redis_url == "redis://from-a-variable/0"


def test_any_setting_may_lie_in_a_file(secrets: Path) -> None:
    (secrets / "featuredrift_queue").write_text("blue")

    assert Settings().queue == "blue"


def test_a_named_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATUREDRIFT_SECRETS_DIR", "/nowhere/secrets")

    with pytest.raises(ValidationError, match="secrets_dir=/nowhere/secrets is no folder"):
        Settings()


def test_no_folder_is_fine_when_none_was_named(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.settings.SECRETS_DIR", secrets / "absent")
    monkeypatch.delenv("FEATUREDRIFT_SECRETS_DIR")

    assert Settings().queue == "featuredrift"
