"""Readers of what strangers write: whatever the bytes, an answer or a refusal, and soon."""

# ruff: noqa: PT017 - of what is made up, some is refused and some is not

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open

from app.core.errors import InvalidInputError
from app.registry.definitions import SITE_PATTERN
from app.registry.documents import parse_jsonl, parse_objects, to_jsonl
from app.registry.service.sources import read_local_file
from app.sources.checkpoint import inspect_checkpoint, inspect_checkpoint_source
from app.sources.dictionary import inspect_dictionary_source
from app.sources.locations import Place, local_directory, place_of
from app.sources.safetensors_header import MAX_PARTS, BadSafetensorsError, read_header
from tests.support.depth import DEPTH
from workers.capture.sites import parse_site
from workers.errors import EvaluationError

fuzzed = settings(
    max_examples=50 * DEPTH,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=15,
)
COUNTS = st.integers(-2, 2**70) | st.integers(0, 8) | st.floats() | st.booleans() | st.text("12")
ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "U8", "BOOL", "I64", "F4", "", "F\x00"]) | JSON,
        "shape": st.lists(COUNTS, max_size=4) | JSON,
        "data_offsets": st.lists(COUNTS, min_size=2, max_size=2) | JSON,
    }
)


def safetensors(header: bytes, body: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + body


@fuzzed
@given(st.dictionaries(st.text(max_size=4), ENTRY | JSON, max_size=4), st.binary(max_size=64))
def test_headers_are_read_or_refused(tmp_path: Path, header: Any, body: bytes) -> None:
    """What is taken for whole, the reference implementation takes too, with the same shapes."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors(json.dumps(header).encode(), body))
    try:
        entries = read_header(path)
    except BadSafetensorsError as error:
        assert "x.safetensors" in str(error)
        return
    try:
        with safe_open(str(path), framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        # Stricter than we, as of types it does not know: the worker says so.
        return
    assert shapes == {name: entry.shape for name, entry in entries.items()}


@fuzzed
@given(
    st.lists(
        st.tuples(st.text("abc", min_size=1, max_size=3), st.lists(st.integers(0, 3), max_size=3)),
        max_size=4,
        unique_by=lambda pair: pair[0],
    )
)
def test_whole_files_are_read(tmp_path: Path, tensors: list[tuple[str, list[int]]]) -> None:
    header, position = {}, 0
    for name, shape in tensors:
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [position, position + size]}
        position += size
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors(json.dumps(header).encode(), bytes(position)))
    assert {n: list(e.shape) for n, e in read_header(path).items()} == dict(tensors)


@pytest.mark.parametrize(
    ("header", "word"),
    [
        (b'{"a":{"dtype":"U8","shape":[' + b"9" * 4000 + b'],"data_offsets":[0,1]}}', "bad entry"),
        (
            b'{"a":{"dtype":"U8","shape":[' + b",".join([b"9" * 18] * 9000) + b"]}}",
            "bad entry",
        ),
        (b'{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', "bad entry"),
        (b'{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}', "bad entry"),
        (b'{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}', "bad entry"),
        (
            b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
            b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
            "twice",
        ),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
        (b"\xff", "not JSON"),
        (b"1" * 5000, "not JSON"),
        (b"[]", "no JSON object"),
    ],
)
def test_headers_that_were_made_to_hurt(tmp_path: Path, header: bytes, word: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors(header, b"x"))
    with pytest.raises(BadSafetensorsError, match=word):
        read_header(path)


def test_a_header_that_would_take_all_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 99_000_000))
        file.truncate(100_000_000)
    with pytest.raises(BadSafetensorsError, match="at most 25000000"):
        read_header(path)
    header = b'{"a": [' + b"[]," * MAX_PARTS + b"[]]}"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(BadSafetensorsError, match="over 2000000 lists"):
        read_header(path)


LINE = st.one_of(
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {"id": st.text(max_size=3) | JSON, "text": st.text(max_size=10) | JSON},
        optional={
            "group": JSON,
            "variant_of": st.text(max_size=3) | JSON,
            "perturbation": st.text(max_size=3) | JSON,
            "labels": st.dictionaries(st.text(max_size=3), JSON, max_size=2) | JSON,
            "extra": JSON,
        },
    ).map(lambda value: json.dumps(value).encode()),
)


@fuzzed
@given(st.lists(LINE, max_size=5))
def test_lines_of_documents_are_read_or_refused(lines: list[bytes]) -> None:
    try:
        documents = parse_jsonl(b"\n".join(lines))
    except InvalidInputError as error:
        assert error.code == "invalid_corpus"
        return
    # What is taken can be stored, and read again as the same.
    assert parse_jsonl(to_jsonl(documents)) == documents


@fuzzed
@given(st.lists(JSON, max_size=4))
def test_documents_in_a_body_are_read_or_refused(values: list[Any]) -> None:
    try:
        assert parse_objects(values)
    except InvalidInputError as error:
        assert error.code == "invalid_corpus"


@pytest.mark.parametrize(
    "line",
    [b"[" * 100_000, b'{"id":' * 50_000, b'{"id": ' + b"1" * 5000 + b"}", b"\xff\xfe", b"NaN"],
)
def test_lines_that_were_made_to_hurt(line: bytes) -> None:
    with pytest.raises(InvalidInputError):
        parse_jsonl(line)


@fuzzed
@given(
    st.text(max_size=40)
    | st.from_regex(r"blocks\.\d{1,5}\.[a-z_.]{0,20}")
    | st.from_regex(SITE_PATTERN)
)
def test_sites_are_read_or_refused(name: str) -> None:
    try:
        site = parse_site(name)
    except EvaluationError as error:
        assert error.code.startswith("site_")
        return
    assert site.name == name


URI = st.one_of(
    st.text(max_size=40),
    st.builds(
        "{}://{}".format,
        st.sampled_from(["s3", "gs", "az", "hf", "file", "http", "https", "ftp", "gopher", "S3"]),
        st.text("ab./:@[]#?%\x00\\", max_size=20),
    ),
    st.builds("/{}".format, st.text("ab./%~\x00 ", max_size=30)),
)


@fuzzed
@given(URI)
def test_sources_are_of_a_known_kind_or_refused(source: str) -> None:
    try:
        place = place_of(source)
    except (
        InvalidInputError,
        ValueError,
    ):  # a URL parser's own, which `reading` names the source of
        return
    if place is Place.REMOTE:
        assert source.partition("://")[0].lower() in {"s3", "gs", "gcs", "abfs", "az"}
    assert "::" not in source


@fuzzed
@given(URI)
def test_local_sources_stay_under_their_root(tmp_path: Path, source: str) -> None:
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True, exist_ok=True)
    (tmp_path / "secret").mkdir(exist_ok=True)
    link = root / "ab"
    if not link.is_symlink():
        link.symlink_to(tmp_path / "secret")
    for asked in (source, f"{root}/{source}", f"file://{root}/{source}"):
        try:
            found = local_directory(asked, [root])
        except (InvalidInputError, ValueError, OSError, RuntimeError):
            continue
        assert found.is_relative_to(root)


@pytest.mark.parametrize(
    "source",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://internal/",
        "ftp://internal/",
        "s3://a::http://169.254.169.254/",
        "simplecache::s3://a/b",
        "zip://x::file:///etc/passwd",
        "memory://x",
        "data:text/plain,x",
        "github://a:b@c",
        "file:///etc/../etc/passwd",
        "//internal/share",
        "/etc/passwd",
        "/proc/self/environ",
        "file:///proc/self",
        "file://internal/etc",
    ],
)
def test_no_source_reaches_another_place(tmp_path: Path, source: str) -> None:
    with pytest.raises(InvalidInputError):
        inspect_checkpoint_source(source, [tmp_path], allow_hub=True)
    with pytest.raises(InvalidInputError):
        read_local_file(source, [tmp_path])
    with pytest.raises(InvalidInputError):
        inspect_dictionary_source(source, [tmp_path])


@fuzzed
@given(config=JSON, tokenizer=JSON, index=JSON)
def test_configurations_are_read_or_refused(
    tmp_path: Path, config: Any, tokenizer: Any, index: Any
) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(safetensors(b"{}", b""))
    (folder / "tokenizer.json").write_text("{}")
    for name, value in (
        ("config.json", config),
        ("tokenizer_config.json", tokenizer),
        ("model.safetensors.index.json", index),
    ):
        (folder / name).write_text(json.dumps(value))
    try:
        inspect_checkpoint(folder, [tmp_path])
    except InvalidInputError as error:
        assert error.code in {"config_invalid", "remote_code_refused", "weights_missing"}


@fuzzed
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "d_in": st.integers(-1, 2**40) | JSON,
            "d_sae": st.integers(-1, 2**40) | JSON,
            "architecture": JSON,
            "metadata": JSON,
            "hook_name": JSON,
        },
    )
)
def test_dictionaries_are_read_or_refused(tmp_path: Path, config: Any) -> None:
    (tmp_path / "cfg.json").write_text(json.dumps(config))
    (tmp_path / "sae_weights.safetensors").write_bytes(safetensors(b"{}", b""))
    with pytest.raises(InvalidInputError):
        inspect_dictionary_source(str(tmp_path), [tmp_path.parent])
