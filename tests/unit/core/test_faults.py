"""Fault points: those in the code are those that are known, and each is struck by some test."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core import faults
from tests.crash.matrix import ELSEWHERE, ROWS, uncovered

ROOT = Path(__file__).parents[3]


def _in_code() -> Iterator[str]:
    for folder in ("app", "workers"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            for node in ast.walk(ast.parse(text if "fault_point" in text else "")):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id == "fault_point"
                ):
                    assert isinstance(node.args[0], ast.Constant), path
                    yield str(node.args[0].value)


def test_the_points_in_the_code_are_the_known_ones() -> None:
    assert set(_in_code()) == set(faults.POINTS)


def test_each_point_is_struck_by_some_test() -> None:
    assert not uncovered()
    assert {row.fault_point for row in ROWS} | set(ELSEWHERE) == set(faults.POINTS)


def test_without_orders_a_point_does_nothing(tmp_path: Path) -> None:
    faults.fault_point("after-claim")


def test_an_order_is_taken_once_and_by_the_kind_it_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(faults, "_FOLDER", str(tmp_path))
    (tmp_path / "after-claim@compare.one").write_text("full")
    faults.fault_point("after-claim", "plan")
    with pytest.raises(OSError, match="No space left on device"):
        faults.fault_point("after-claim", "compare")
    faults.fault_point("after-claim", "compare")


def test_memory_runs_out_and_is_there_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(faults, "_FOLDER", str(tmp_path))
    (tmp_path / "mid-capture.one").write_text("memory")
    with pytest.raises(MemoryError):
        faults.fault_point("mid-capture")
    assert len(bytearray(128 << 20)) == 128 << 20
