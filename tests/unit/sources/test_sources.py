"""A source from a stranger is refused for the right reason, and a good one goes through."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from app.core.errors import InvalidInputError
from app.sources.checkpoint import inspect_checkpoint_source
from app.sources.dictionary import inspect_dictionary_source
from app.sources.safetensors_header import BadSafetensorsError, read_header
from tests.support.depth import DEPTH


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "models"
    root.mkdir()
    return root


@pytest.fixture
def checkpoint(root: Path) -> Path:
    folder = root / "base"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    save_file({"w": np.ones((2, 3), np.float32)}, folder / "model.safetensors")
    return folder


def refused(source: str, root: Path, *, allow_hub: bool = False) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        inspect_checkpoint_source(source, [root], allow_hub=allow_hub)
    return caught.value


def test_a_whole_checkpoint_under_a_root_is_accepted(checkpoint: Path, root: Path) -> None:
    inspect_checkpoint_source(str(checkpoint), [root], allow_hub=False)
    inspect_checkpoint_source(checkpoint.as_uri(), [root], allow_hub=False)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("/etc", "source_outside_roots"),
        ("{root}/../secret", "source_outside_roots"),
        ("{root}/nothing", "source_missing"),
        ("ftp://host/x", "source_unsupported"),
        ("http://169.254.169.254/latest", "source_unsupported"),
        ("", "source_unsupported"),
        ("owner/name", "hub_not_allowed"),
        ("hf://owner/name", "hub_not_allowed"),
    ],
)
def test_a_bad_place_is_refused_with_its_own_code(source: str, code: str, root: Path) -> None:
    error = refused(source.format(root=root), root)
    assert error.code == code
    assert error.status == 422
    assert error.field == "source"


def test_a_hub_source_passes_where_the_hub_is_allowed(root: Path) -> None:
    inspect_checkpoint_source("hf://owner/name", [root], allow_hub=True)


def test_a_link_out_of_the_root_is_refused(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "link").symlink_to(outside)
    assert refused(str(root / "link"), root).code == "source_outside_roots"
    (outside / "secret").write_text("x")
    (checkpoint / "vocab.txt").symlink_to(outside / "secret")
    assert refused(str(checkpoint), root).code == "source_outside_roots"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_that_would_be_waited_for_is_refused(
    checkpoint: Path, root: Path, name: str, linked: bool
) -> None:
    (checkpoint / name).unlink(missing_ok=True)
    os.mkfifo(root / "pipe" if linked else checkpoint / name)
    if linked:
        (checkpoint / name).symlink_to(root / "pipe")

    assert refused(str(checkpoint), root).code == "source_unsupported"


def test_pickles_remote_code_and_missing_parts_are_refused(checkpoint: Path, root: Path) -> None:
    (checkpoint / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": "x.Y"}}')
    assert refused(str(checkpoint), root).code == "remote_code_refused"
    (checkpoint / "tokenizer_config.json").unlink()
    (checkpoint / "config.json").write_text('{"auto_map": {"AutoModel": "x.Y"}}')
    assert refused(str(checkpoint), root).code == "remote_code_refused"
    (checkpoint / "config.json").write_text("{")
    assert refused(str(checkpoint), root).code == "config_invalid"
    (checkpoint / "config.json").write_text("{}")
    (checkpoint / "tokenizer.json").unlink()
    assert refused(str(checkpoint), root).code == "tokenizer_missing"
    (checkpoint / "model.safetensors").unlink()
    assert refused(str(checkpoint), root).code == "weights_missing"
    (checkpoint / "pytorch_model.bin").write_bytes(b"x")
    error = refused(str(checkpoint), root)
    assert error.code == "pickle_refused"
    assert "pytorch_model.bin" in error.detail


def test_an_index_that_lists_a_missing_file_is_refused(checkpoint: Path, root: Path) -> None:
    index = {"weight_map": {"w": "model-00002-of-00002.safetensors"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    error = refused(str(checkpoint), root)
    assert error.code == "weights_missing"
    assert "model-00002-of-00002.safetensors" in error.detail


@pytest.mark.parametrize("keep", [0, 7, 20, -1])
def test_a_truncated_file_is_refused(keep: int, checkpoint: Path, root: Path) -> None:
    file = checkpoint / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    assert refused(str(checkpoint), root).code == "weights_damaged"


@settings(max_examples=30 * DEPTH)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_header_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    path = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    for content in (data, struct.pack("<Q", len(data)) + data):
        path.write_bytes(content)
        try:
            entries = read_header(path)
        except BadSafetensorsError:
            continue
        assert entries == {}  # only an empty object is whole without any data


def test_a_shape_that_does_not_fit_its_bytes_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(BadSafetensorsError, match="does not fit its 8 bytes"):
        read_header(path)


def test_a_dictionary_states_its_facts_or_is_refused(root: Path) -> None:
    folder = root / "sae"
    folder.mkdir()
    config = {"architecture": "topk", "d_in": 4, "d_sae": 8, "metadata": {"hook_name": "blocks.1"}}
    (folder / "cfg.json").write_text(json.dumps(config))
    with pytest.raises(InvalidInputError, match=r"no sae_weights\.safetensors"):
        inspect_dictionary_source(str(folder), [root])
    save_file({"W_dec": np.ones((8, 4), np.float32)}, folder / "sae_weights.safetensors")
    facts = inspect_dictionary_source(str(folder), [root])
    assert facts is not None
    assert (facts.architecture, facts.d_in, facts.d_sae) == ("topk", 4, 8)
    assert facts.site == "blocks.1"
    assert len(facts.digest) == 64
    (folder / "cfg.json").write_text(json.dumps(config | {"d_sae": 9}))
    with pytest.raises(InvalidInputError, match="W_dec is of shape"):
        inspect_dictionary_source(str(folder), [root])
