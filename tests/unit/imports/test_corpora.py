"""Files as people have them, and what is said of each fault."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.imports import Columns, ImportRefusedError, convert_corpus
from app.imports.readers import MAX_LINE_BYTES
from app.registry.documents import parse_jsonl, to_jsonl

SPANS = {"id": "a", "text": "call 555-0100", "labels": {"phone": [[5, 13]]}}


def read(path: Path, **options: Any) -> list[dict[str, Any]]:
    """The documents, after checking that the registry reads them as they are."""
    with convert_corpus(path, **options) as converted:
        data = converted.lines()
        parsed = parse_jsonl(data)
        assert to_jsonl(parsed) == data
        assert converted.documents == len(parsed)
        return [document.to_json() for document in parsed]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(ImportRefusedError) as caught, convert_corpus(path, **options):
        pass
    return caught.value.detail


Write = Callable[[str, str | bytes], Path]


def test_json_lines_with_a_mark_and_crlf(write: Write) -> None:
    lines = f'\ufeff{json.dumps(SPANS)}\r\n\r\n{{"text": "naïve 🙂", "labels": {{"x": false}}}}\r\n'
    assert read(write("c.jsonl", lines)) == [
        SPANS,
        {"id": "3", "text": "naïve 🙂", "labels": {"x": []}},
    ]


def test_spans_count_characters_and_not_bytes(write: Write) -> None:
    row = {"text": "🙂 naïve", "labels": [{"start": 2, "end": 7, "label": "word"}]}
    (found,) = read(write("c.jsonl", json.dumps(row, ensure_ascii=False)))
    start, end = found["labels"]["word"][0]
    assert found["text"][start:end] == "naïve"


def test_a_list_of_spans_says_that_other_concepts_are_absent(write: Write) -> None:
    rows = [
        {"text": "Ada met Bob", "labels": [[0, 3, "name"], [8, 11, "name"]]},
        {"text": "in Rome", "labels": [{"start_offset": 3, "end_offset": 7, "label": "place"}]},
        {"text": "nobody here", "labels": []},
        {"text": "not looked at"},
        {"text": "by columns", "labels": {"start": [0], "end": [2], "label": ["other"]}},
    ]
    found = read(write("c.jsonl", "\n".join(map(json.dumps, rows))))
    assert [document.get("labels") for document in found] == [
        {"name": [[0, 3], [8, 11]], "other": [], "place": []},
        {"name": [], "other": [], "place": [[3, 7]]},
        {"name": [], "other": [], "place": []},
        None,
        {"name": [], "other": [[0, 2]], "place": []},
    ]


def test_variants_take_the_group_of_their_original(write: Write) -> None:
    rows = [
        {"id": "b", "text": "A", "variant_of": "a", "perturbation": "case"},
        {"id": "a", "text": "a", "group": "g"},
    ]
    variant, _ = read(write("c.jsonl", "\n".join(map(json.dumps, rows))))
    assert variant["group"] == "g"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: is not JSON"),
        ("[]", "line 2: is a JSON list; write one object on each line"),
        ("3", "line 2: is int, not a JSON object"),
        ('{"text": "x", "text": "y"}', "line 2: the key 'text' stands there twice"),
        ('{"text": NaN}', "line 2: NaN is not JSON"),
        ('{"body": "x"}', "line 2: there is no column 'text' (it has 'body'); name it with --text"),
        ('{"text": null}', "line 2: column 'text' is empty"),
        ('{"text": 3}', "line 2: the text is int"),
        ('{"text": " "}', "line 2: the text is blank"),
        ('{"text": "\\u0000"}', "line 2: text contains a NUL"),
        ('{"text": "\\ud800"}', "line 2: text contains the lone surrogate"),
        ('{"text": "x", "id": 1.5}', "line 2: the id is float 1.5; it must be text"),
        ('{"text": "x", "id": "a"}', "line 2: the id 'a' is taken by"),
        ('{"text": "x", "labels": 3}', "line 2: labels is int; give"),
        ('{"text": "x", "labels": {"c": 3}}', "line 2: label 'c' is 3; give"),
        ('{"text": "x", "labels": {"c": [[0]]}}', "line 2: label 'c': span [0] must have two"),
        ('{"text": "x", "labels": {"c": [[0, "1"]]}}', "span [0, '1'] must have two whole numbers"),
        ('{"text": "x", "labels": {"c": [[true, 1]]}}', "must have two whole numbers"),
        ('{"text": "x", "labels": {"c": [[0, 2]]}}', "[0, 2] is outside the text of 1 characters"),
        ('{"text": "x", "labels": {"c": [[-1, 1]]}}', "[-1, 1] is outside the text"),
        ('{"text": "xyz", "labels": {"c": [[2, 1]]}}', "[2, 1] is empty or turned round"),
        (
            '{"text": "xyz", "labels": {"c": [[1, 3], [0, 2]]}}',
            "line 2: label 'c': spans [0, 2] and [1, 3] overlap; mend them, or join them with",
        ),
        ('{"text": "x", "labels": [[0, 1]]}', "line 2: labels: span [0, 1] names no concept"),
        ('{"text": "x", "labels": {"": true}}', "a concept's name must have 1 to"),
        ('{"text": "x", "variant_of": "b"}', "line 2: variant_of names 'b', which is not in this"),
        ('{"text": "x", "perturbation": "p"}', "line 2: perturbation is given without variant_of"),
    ],
)
def test_a_fault_names_its_line_and_what_to_do(write: Write, line: str, said: str) -> None:
    path = write("c.jsonl", f"{json.dumps(SPANS)}\n{line}\n")
    assert said in refused(path)
    assert str(path) in refused(path)


def test_overlaps_are_joined_where_that_is_asked_for(write: Write) -> None:
    path = write("c.jsonl", '{"text": "abcdef", "labels": {"c": [[1, 3], [0, 2], [3, 4]]}}')
    assert read(path, merge_overlaps=True)[0]["labels"] == {"c": [[0, 3], [3, 4]]}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "c.jsonl",
            b'{"text": "ok"}\n{"text": "caf\xe9"}\n',
            "line 2: byte 14 (0xe9) is not UTF-8",
        ),
        ("c.jsonl", '{"text": "x"}'.encode("utf-16"), "is UTF-16, not UTF-8 text"),
        ("c.csv", b"\x1f\x8b\x08\0", "is gzip, not UTF-8 text; unpack it"),
        ("c.txt", b"PAR1xxxx", "is Parquet, not UTF-8 text"),
        ("c.jsonl", b"", "holds no document"),
        ("c.jsonl", b"x" * (MAX_LINE_BYTES + 1), "line 1: has more than 32 MiB; split it"),
        ("c.json", b"[]", "names no known format; write one object on each line"),
        ("c.pkl", b"", "a pickle can run code and is never read"),
        ("c.jsonl.gz", b"", "unpack it first"),
        ("c.csv", b"text,text\n", "line 1: the header has 'text' twice"),
        ("c.csv", b"id;text\na;b\n", "where ';' separates the fields, say --delimiter ';'"),
        ("c.csv", b"id\ttext\na\tb\n", "where tabs separate the fields, say --format tsv"),
        ("c.csv", b"text,id\na,b,c\n", "line 2: has 3 fields, but the header has 2 (text, id)"),
        ("c.csv", b'text,id\n"a,b\nc,d\n', "line 2: a record that begins here has a quote that is"),
        ("c.csv", b"text\ra\rb\n", "has a bare carriage return"),
        ("c.csv", b'text,id\n"a"b,c\n', "line 2: a record that begins here is not CSV"),
        ("c.csv", b"text,labels\na,{\n", "line 2: labels: is not JSON"),
        ("c.parquet", b"nothing", "is no Parquet file"),
    ],
)
def test_a_damaged_file_is_named(write: Write, name: str, content: bytes, said: str) -> None:
    assert said in refused(write(name, content))


def test_a_pipe_is_read_as_a_file_is() -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, json.dumps(SPANS).encode() + b"\n")
    os.close(write_end)
    documents = read(Path(f"/dev/fd/{read_end}"), kind="jsonl")
    os.close(read_end)
    assert [document["text"] for document in documents] == [SPANS["text"]]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    assert "there is no such file or folder" in refused(tmp_path / "none.jsonl")
    assert "holds neither a saved dataset" in refused(tmp_path)


def test_csv_with_quotes_line_ends_and_labels(write: Write) -> None:
    content = (
        "\ufeffkey;body;spans;spam;topic;note\r\n"
        'a;"two\r\nlines; one text";"{""two"": [[0, 3]]}";yes;news;x\r\n'
        "\r\n"
        "b;plain;;0;sport;\r\n"
        "c;unlabelled;;;;\r\n"
    )
    columns = Columns(
        text="body", id="key", labels="spans", flags={"spam": "junk"}, classes=("topic",)
    )
    path = write("c.csv", content)
    found = read(path, columns=columns, delimiter=";")
    assert found == [
        {
            "id": "a",
            "text": "two\r\nlines; one text",
            "labels": {"two": [[0, 3]], "junk": [[0, 20]], "news": [[0, 20]], "sport": []},
        },
        {"id": "b", "text": "plain", "labels": {"junk": [], "news": [], "sport": [[0, 5]]}},
        {"id": "c", "text": "unlabelled"},
    ]
    with convert_corpus(path, columns=columns, delimiter=";") as converted:
        assert converted.ignored == ["note"]
        assert converted.concepts["sport"] == {"documents": 1, "without": 1, "spans": 1}


def test_a_column_that_was_named_must_be_there(write: Write) -> None:
    path = write("c.csv", "text,id\na,b\n")
    assert "no column 'key'" in refused(path, columns=Columns(id="key"))
    assert "no row has a column 'spans'" in refused(path, columns=Columns(labels="spans"))
    said = refused(path, columns=Columns(flags={"id": "c"}))
    assert "column 'id' is 'b', neither true nor false" in said


def test_text_by_line_by_paragraph_and_by_file(write: Write, tmp_path: Path) -> None:
    path = write("c.txt", "one\r\ntwo\r\n\r\nthree  \r\n")
    assert [d["text"] for d in read(path)] == ["one", "two", "three  "]
    assert [d["text"] for d in read(path, per="paragraph")] == ["one\r\ntwo", "three  "]
    assert [d["text"] for d in read(path, per="file")] == ["one\r\ntwo\r\n\r\nthree  "]
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "b.txt").write_text("b\n")
    (folder / "a.txt").write_text("a\n")
    assert [d["id"] for d in read(folder)] == ["a.txt", "deep/b.txt"]


def test_parquet_with_structs_and_several_files(tmp_path: Path) -> None:
    span = pa.struct([("start", pa.int64()), ("end", pa.int64()), ("label", pa.string())])
    for number, (text, spans) in enumerate(
        [("Ada", [{"start": 0, "end": 3, "label": "name"}]), ("x", [])]
    ):
        table = pa.table(
            {
                "id": pa.array([number]),
                "text": pa.array([text]),
                "labels": pa.array([spans], pa.list_(span)),
                "extra": pa.array([b"\xff"]),
            }
        )
        pq.write_table(table, tmp_path / f"part-{number}.parquet")
    assert read(tmp_path) == [
        {"id": "0", "text": "Ada", "labels": {"name": [[0, 3]]}},
        {"id": "1", "text": "x", "labels": {"name": []}},
    ]
    empty = {"id": pa.array([2]), "text": pa.array([None], pa.string()), "labels": pa.nulls(1)}
    pq.write_table(pa.table(empty), tmp_path / "part-2.parquet")
    assert "part-2.parquet row 1: column 'text' is empty" in refused(tmp_path)
    assert "no column 'body' (it has 'id', 'text', 'labels', 'extra')" in refused(
        tmp_path, columns=Columns(text="body")
    )


def test_a_saved_dataset_with_splits_and_classes(tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_dict({"text": ["good", "bad", "who knows"], "label": [1, 0, -1]})
    rows = rows.cast_column("label", datasets.ClassLabel(names=["neg", "pos"]))
    datasets.DatasetDict({"train": rows, "test": rows.select([0])}).save_to_disk(tmp_path / "saved")
    columns = Columns(classes=("label",))
    found = read(tmp_path / "saved", split="train", columns=columns)
    assert [document.get("labels") for document in found] == [
        {"neg": [], "pos": [[0, 4]]},
        {"neg": [[0, 3]], "pos": []},
        None,
    ]
    assert "name the split; it holds train, test" in refused(tmp_path / "saved")
    assert "no split 'dev'" in refused(tmp_path / "saved", split="dev")
    assert len(read(tmp_path / "saved" / "test", columns=columns)) == 1
    state = tmp_path / "saved" / "test" / "state.json"
    state.write_text('{"_data_files": [{"filename": "../train/x.arrow"}]}')
    assert "outside of its folder" in refused(tmp_path / "saved" / "test")
    (data,) = (tmp_path / "saved" / "train").glob("*.arrow")
    data.write_bytes(data.read_bytes()[:300])
    assert "is damaged or of another format" in refused(tmp_path / "saved", split="train")


def test_what_a_file_says_moves_no_cursor(write: Write) -> None:
    said = refused(write("c.csv", "te\x1b[2Jxt,b\u202e\nx,y\n"))
    assert said.isprintable()
    assert "\\x1b[2J" in said


def test_only_the_first_documents(write: Write) -> None:
    path = write("c.txt", "one\ntwo\nthree\n\xff\n".encode("latin-1"))
    assert len(read(path, limit=2)) == 2
    assert "line 4" in refused(path)


def test_how_far_it_is_is_told(write: Write) -> None:
    seen: list[tuple[int, int]] = []
    path = write("c.txt", "one\n" * 100)
    with convert_corpus(path, tell=lambda done, total: seen.append((done, total))):
        pass
    assert seen == sorted(seen)
    assert seen[-1] == (400, 400)
    assert len(seen) == 101


def test_memory_stays_small_while_a_large_file_is_read(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "large.jsonl"
    line = json.dumps({"text": "word " * 20_000, "labels": {"w": [[0, 4]]}}) + "\n"
    with path.open("w") as file:
        for _ in range(400):
            file.write(line)
    tracemalloc.start()
    with convert_corpus(path) as converted:
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert converted.size > 40_000_000
    assert peak < 5_000_000
