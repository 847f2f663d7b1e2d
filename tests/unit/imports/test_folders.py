"""Folders as one corpus: every file of one is read, or named with what to do."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.imports import Columns, ImportRefusedError, convert_corpus


def table(path: Path, **columns: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(ImportRefusedError) as caught, convert_corpus(path, **options):
        pass
    return caught.value.detail


def texts(path: Path, **options: Any) -> tuple[list[str], list[str]]:
    """The documents' texts by the order of files, and what was left out."""
    with convert_corpus(path, **options) as converted:
        found = [line.split(b'"text":"')[1].split(b'"')[0] for line in converted.lines().split()]
        return [one.decode() for one in found], converted.left_out


def test_parquet_of_every_spelling_and_depth_is_read(tmp_path: Path) -> None:
    table(tmp_path / "a.PARQUET", text=["one"])
    table(tmp_path / "b.pq", text=["two"])
    table(tmp_path / "deep" / "er" / "c.parquet", text=["three"])
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".a.PARQUET.crc").write_bytes(b"x")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "d.txt").write_text("four")
    assert texts(tmp_path) == (["one", "two", "three"], [])


def test_files_of_another_format_are_named(tmp_path: Path) -> None:
    table(tmp_path / "data" / "train.parquet", text=["one"])
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "more.jsonl").write_text("{}")
    said = refused(tmp_path)
    assert "1 files of Parquet, and others: README.md, more.jsonl;" in said
    assert "leave them out with --format parquet" in said
    assert texts(tmp_path, kind="parquet") == (["one"], ["README.md", "more.jsonl"])
    left_out = ["data/train.parquet", "more.jsonl"]
    assert texts(tmp_path, kind="text") == (["about"], left_out)


def test_a_folder_of_no_known_format_names_what_it_holds(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"{number}.csv").touch()
    said = refused(tmp_path)
    assert "it holds 0.csv, 1.csv, 2.csv, 3.csv, 4.csv and 2 more; name a file" in said
    assert "holds no Parquet" in refused(tmp_path, kind="parquet")


def test_a_link_to_a_text_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("one")
    (folder / "b.txt").symlink_to(tmp_path / "secret.txt")
    assert "others: b.txt" in refused(folder)
    assert texts(folder, kind="text") == (["one"], ["b.txt"])


@pytest.mark.parametrize("column", ["spam", "topic", "labels", "group"])
def test_a_part_without_a_column_of_others_is_named(tmp_path: Path, column: str) -> None:
    table(tmp_path / "part-0.parquet", text=["one"], **{column: [None]})
    table(tmp_path / "part-1.parquet", text=["two"])
    columns = Columns(flags={"spam": "spam"}, classes=("topic",))
    said = refused(tmp_path, columns=columns)
    assert said.startswith(f"{tmp_path}/part-1.parquet: has no column '{column}', but ")
    table(tmp_path / "part-1.parquet", text=["two"], **{column: [None]})
    table(tmp_path / "part-0.parquet", text=["one"])
    assert refused(tmp_path, columns=columns).startswith(f"{tmp_path}/part-0.parquet: has no")


def test_a_column_in_a_folders_name_is_not_lost(tmp_path: Path) -> None:
    table(tmp_path / "topic=news" / "part-0.parquet", text=["one"])
    assert "the folder 'topic=news' holds a column in its name" in refused(tmp_path)
    assert texts(tmp_path / "topic=news")[0] == ["one"]
