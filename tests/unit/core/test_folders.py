"""A folder is whole, or it is not there."""

from pathlib import Path

import pytest

from workers.folders import fill_folder


def test_a_filled_folder_appears_alone(tmp_path: Path) -> None:
    target = fill_folder(tmp_path / "a" / "digest", lambda f: (f / "x").write_text("1"))
    assert (target / "x").read_text() == "1"
    assert [path.name for path in target.parent.iterdir()] == ["digest"]


def test_a_failure_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "x").write_text("1")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fill_folder(tmp_path / "digest", fail)
    assert list(tmp_path.iterdir()) == []


def test_whoever_was_faster_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "digest"

    def beaten(folder: Path) -> None:
        (folder / "x").write_text("slow")
        fill_folder(target, lambda f: (f / "x").write_text("fast"))

    assert (fill_folder(target, beaten) / "x").read_text() == "fast"
    assert [path.name for path in tmp_path.iterdir()] == ["digest"]
