"""Folders that are named from where somebody stands."""

from pathlib import Path

import pytest

from app.cli.sources import absolute


def test_a_folder_of_here_is_named_for_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "v1").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    assert absolute("models/v1") == f"{tmp_path}/models/v1"
    assert absolute("./models/../models/v1/") == f"{tmp_path}/models/v1"
    # Which roots are allowed is for the service to say, by the name that it was given.
    assert absolute("link/v1") == f"{tmp_path}/link/v1"


@pytest.mark.parametrize("source", ["/models/v1", "hf://owner/name", "s3://a/b", "nowhere", ""])
def test_what_is_no_folder_of_here_stays(source: str) -> None:
    assert absolute(source) == source
