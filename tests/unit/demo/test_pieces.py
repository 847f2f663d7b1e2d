"""Pieces are whole or absent, and built once."""

from pathlib import Path

import pytest

from workers.demo.pieces import build_piece, building, piece_path
from workers.demo.recipe import Recipe


def test_a_piece_is_built_once(tmp_path: Path) -> None:
    built: list[Path] = []

    def fill(folder: Path) -> None:
        built.append(folder)
        (folder / "value").write_text("1")

    with building(tmp_path):
        first = build_piece(tmp_path, "thing", "a" * 64, fill)
        second = build_piece(tmp_path, "thing", "a" * 64, fill)
    assert first == second == piece_path(tmp_path, "thing", "a" * 64)
    assert len(built) == 1
    assert (first / "value").read_text() == "1"


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    with building(tmp_path), pytest.raises(KeyboardInterrupt):
        build_piece(tmp_path, "thing", "a" * 64, fill)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_what_a_killed_build_left_is_cleared(tmp_path: Path) -> None:
    leftover = tmp_path / ".partial-thing-aaaaaaaaaaaa"
    leftover.mkdir()
    (leftover / "half").write_text("")
    with building(tmp_path):
        path = build_piece(tmp_path, "thing", "a" * 64, lambda _folder: None)
    assert path.is_dir()
    assert not leftover.exists()


def test_another_recipe_another_piece() -> None:
    assert Recipe().key("model") == Recipe().key("model")
    assert Recipe().key("model") != Recipe(width=64).key("model")
    assert Recipe().key("model", "a") != Recipe().key("model", "b")
    assert Recipe().key("model") != Recipe().key("corpus")
