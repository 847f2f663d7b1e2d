"""Whatever a file holds, it is imported or refused with a reason; nothing else ever happens."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.imports import (
    Columns,
    ImportRefusedError,
    catalog,
    convert_corpus,
    map_list,
    read_directions,
    read_list,
    read_probes,
)
from app.registry.documents import parse_jsonl

FEW = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SITE = "blocks.1.hook_resid_post"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["text", "id", "labels", "start", "end", "label", "x", "neuron"])
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"text": st.text(max_size=12) | VALUES},
        optional={
            "id": VALUES,
            "labels": VALUES
            | st.dictionaries(
                st.text(min_size=1, max_size=3),
                st.lists(st.lists(st.integers(-1, 9), max_size=3), max_size=3),
                max_size=2,
            ),
            "flag": VALUES,
            "class": VALUES,
            "group": VALUES,
            "variant_of": VALUES,
            "perturbation": VALUES,
        },
    ),
    max_size=3,
)


def reason(work: Callable[[], Any]) -> None:
    """Do it; only a refusal with a reason may stop it."""
    said = ""
    try:
        work()
    except ImportRefusedError as error:
        said = error.detail
    assert said.isprintable()


def corpus(path: Path, **options: Any) -> None:
    with convert_corpus(path, **options) as converted:
        assert len(parse_jsonl(converted.lines())) == converted.documents > 0


@FEW
@given(rows=ROWS)
def test_any_rows_of_json(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    reason(lambda: corpus(path))
    columns = Columns(flags={"flag": "f"}, classes=("class",))
    reason(lambda: corpus(path, columns=columns, merge_overlaps=True))


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv", "c.tsv", "c.txt", "c.parquet"])
@FEW
@given(data=st.binary(max_size=200) | st.text('{}[]",:a0\\\n\r\t ', max_size=60))
def test_any_bytes_as_a_corpus(tmp_path: Path, name: str, data: bytes | str) -> None:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    reason(lambda: corpus(path))


@FEW
@given(value=VALUES | st.lists(VALUES) | st.builds(lambda x: {"neurons": x}, st.lists(VALUES)))
def test_any_json_as_a_list(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(value))
    reason(lambda: map_list(read_list(path).entries, [], catalog()))


@FEW
@given(
    value=VALUES
    | st.fixed_dictionaries(
        {
            "coef_": st.lists(st.lists(st.floats(), max_size=3), max_size=3) | VALUES,
            "intercept_": st.lists(st.floats(), max_size=3) | VALUES,
        },
        optional={
            "mean_": st.lists(st.floats(), max_size=3) | VALUES,
            "scale_": st.lists(st.floats(), max_size=3) | VALUES,
            "classes_": VALUES,
            "multi_class": VALUES,
            "site": VALUES,
            "layer": VALUES,
        },
    )
)
def test_any_json_as_probes(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(value))
    reason(lambda: read_probes(path))
    reason(lambda: read_probes(path, site=SITE, class_concepts=True))


@FEW
@given(
    header=VALUES
    | st.dictionaries(
        st.text(max_size=4),
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "F16", "BF16", "F64", "I8", "?"]) | VALUES,
                "shape": st.lists(st.integers(-1, 3), max_size=3) | VALUES,
                "data_offsets": st.lists(st.integers(-1, 24), min_size=2, max_size=2) | VALUES,
            }
        ),
        max_size=3,
    ),
    metadata=st.none() | VALUES,
    data=st.binary(max_size=24),
)
def test_any_header_of_tensors(tmp_path: Path, header: Any, metadata: Any, data: bytes) -> None:
    path = tmp_path / "v.safetensors"
    if isinstance(header, dict) and metadata is not None:
        header = {**header, "__metadata__": metadata}
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    reason(lambda: read_directions(path))
    reason(lambda: read_directions(path, site=SITE))
    reason(lambda: read_probes(path, site=SITE))
