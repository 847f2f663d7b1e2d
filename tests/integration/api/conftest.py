"""A client of the real application, on a real Postgres."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """Requests go to the application in this process; its errors come back as answers."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def write_safetensors(path: Path, tensors: dict[str, list[int]]) -> None:
    """A whole safetensors file of float32 zeros with these names and shapes."""
    header, position = {}, 0
    for name, shape in tensors.items():
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [position, position + size]}
        position += size
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + b"\0" * position)


@pytest.fixture
def checkpoint_source(settings: Settings) -> str:
    """A directory under the allowed root that passes inspection."""
    return str(make_checkpoint(settings.allowed_roots[0] / "base"))


def make_checkpoint(path: Path) -> Path:
    """A checkpoint directory: configuration, weights, tokenizer."""
    path.mkdir()
    (path / "config.json").write_text('{"model_type": "llama"}')
    (path / "tokenizer.json").write_text("{}")
    write_safetensors(path / "model.safetensors", {"model.embed_tokens.weight": [16, 8]})
    return path


@pytest.fixture
def dictionary_source(settings: Settings) -> str:
    """A SAELens directory with d_in = 8 and 32 latents."""
    return str(make_dictionary(settings.allowed_roots[0] / "sae"))


def make_dictionary(path: Path, d_in: int = 8, d_sae: int = 32) -> Path:
    """A dictionary directory as SAELens writes it for inference."""
    path.mkdir()
    config = {
        "architecture": "jumprelu",
        "d_in": d_in,
        "d_sae": d_sae,
        "metadata": {"hook_name": "blocks.1.hook_resid_post"},
    }
    (path / "cfg.json").write_text(json.dumps(config))
    write_safetensors(
        path / "sae_weights.safetensors",
        {"W_enc": [d_in, d_sae], "W_dec": [d_sae, d_in], "b_enc": [d_sae], "b_dec": [d_in]},
    )
    return path
