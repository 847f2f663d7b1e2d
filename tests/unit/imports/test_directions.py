"""Tensors as directions, and what is refused."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.imports import ImportRefusedError
from app.imports.directions import read_directions
from tests.unit.imports.values import RANDOM, SITE, value


def test_directions_are_named_by_their_keys(tmp_path: Path) -> None:
    vectors = {"anger": RANDOM.normal(size=8), "joy / calm": RANDOM.normal(size=(1, 8))}
    center = RANDOM.normal(size=8)
    path = tmp_path / "v.safetensors"
    save_file({**vectors, "anger.center": center}, path, metadata={"layer": "2"})
    found = read_directions(path, concepts={"anger": "angry"})
    first, second = found.features
    assert (first["name"], first["concept"]) == ("anger", "angry")
    assert second["name"] == "joy-calm"
    assert first["site"] == "blocks.2.hook_resid_post"
    assert "tensor 'joy / calm' is named 'joy-calm'" in found.notes
    x = RANDOM.normal(size=(5, 8))
    v = vectors["anger"]
    np.testing.assert_allclose(value(first, x), (x - center) @ v / np.linalg.norm(v))
    as_is = read_directions(path, scaling="as-is").features[0]
    assert as_is["kind"] == "linear_probe"
    np.testing.assert_allclose(value(as_is, x), (x - center) @ v)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numbers_are_read_as_numpy_reads_them(tmp_path: Path, dtype: str) -> None:
    vector = RANDOM.normal(size=33).astype(dtype)
    save_file({"v": vector}, tmp_path / "v.safetensors")
    (found,) = read_directions(tmp_path / "v.safetensors", site=SITE).features
    assert found["vector"] == vector.astype(np.float64).tolist()


def test_bfloat16_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    vector = torch.randn(9).bfloat16()
    save_torch({"v": vector}, tmp_path / "v.safetensors")
    (found,) = read_directions(tmp_path / "v.safetensors", site=SITE).features
    assert found["vector"] == vector.double().tolist()


def test_each_tensor_may_have_its_own_site(tmp_path: Path) -> None:
    own = {"a": {"site": "blocks.0.hook_mlp_out", "concept": "c", "threshold": 0.5}}
    metadata = {"site": SITE, "scaling": "as-is", "features": json.dumps(own)}
    path = tmp_path / "v.safetensors"
    save_file({"a": np.ones(4), "b": np.ones(4)}, path, metadata=metadata)
    first, second = sorted(read_directions(path).features, key=lambda one: str(one["name"]))
    placed = (first["site"], first["concept"], first["threshold"])
    assert placed == ("blocks.0.hook_mlp_out", "c", 0.5)
    assert (second["site"], second["kind"]) == (SITE, "linear_probe")


@pytest.mark.parametrize(
    ("tensors", "metadata", "options", "said"),
    [
        ({"v": np.ones((2, 3))}, {}, {"site": SITE}, "shape [2, 3]; a direction is one vector"),
        ({"v": np.zeros(3)}, {}, {"site": SITE}, "is all zeros"),
        ({"v": np.array([1, np.nan])}, {}, {"site": SITE}, "entry 1 is nan"),
        ({"v": np.ones(3, dtype=np.int64)}, {}, {"site": SITE}, "has type I64; save it as float32"),
        ({"v": np.ones(3)}, {}, {}, "nothing says where it reads; give --site"),
        ({"v": np.ones(3)}, {"site": "here!"}, {}, "'here!' is no site"),
        ({"v": np.ones(3)}, {"site": "a.b"}, {"site": SITE}, "the file says 'a.b', but"),
        ({"v": np.ones(3)}, {"layer": "-1"}, {}, "layer is '-1'"),
        ({"v": np.ones(3)}, {"layer": "1", "site": "a.b"}, {}, "keep one"),
        ({"v": np.ones(3)}, {"scaling": "big"}, {"site": SITE}, "'unit' or 'as-is'"),
        ({"v": np.ones(3)}, {"features": "{"}, {"site": SITE}, "metadata 'features' is not JSON"),
        ({"v": np.ones(3)}, {"features": '{"v": {"x": 1}}'}, {"site": SITE}, "unknown 'x'"),
        ({"v": np.ones(3)}, {"features": '{"w": {}}'}, {"site": SITE}, "no direction 'w'"),
        ({"v": np.ones(3)}, {}, {"site": SITE, "concepts": {"w": "c"}}, "no direction 'w'"),
        ({"v/": np.ones(3), "v": np.ones(3)}, {}, {"site": SITE}, "would both be named 'v'"),
        ({"/": np.ones(3)}, {}, {"site": SITE}, "no letter or digit"),
        ({"v": np.ones(3), "v.center": np.ones(2)}, {}, {"site": SITE}, "has 2 entries"),
    ],
)
def test_what_is_no_direction_is_refused(
    tmp_path: Path, tensors: Any, metadata: Any, options: Any, said: str
) -> None:
    path = tmp_path / "v.safetensors"
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ImportRefusedError) as caught:
        read_directions(path, **options)
    assert said in caught.value.detail


def test_a_damaged_file_of_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    save_file({"v": np.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ImportRefusedError, match="truncated or padded"):
        read_directions(path, site=SITE)
    raw = b'{"v": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}, "__metadata__": 3}'
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(8))
    with pytest.raises(ImportRefusedError, match="metadata that is no JSON object"):
        read_directions(path, site=SITE)
    path.write_bytes(b"\x80\x04\x95junk")
    with pytest.raises(ImportRefusedError, match=r"is no whole \.safetensors"):
        read_directions(path, site=SITE)
    with pytest.raises(ImportRefusedError, match="cannot be read: No such file"):
        read_directions(tmp_path / "none.safetensors", site=SITE)
