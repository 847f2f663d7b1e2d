"""The whole build at toy size: everything real, only small."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter
from rich.console import Console
from transformers import AutoTokenizer

from app.registry.definitions import Feature, check_feature_list
from app.registry.documents import parse_jsonl
from tests.support.demo import TOY
from workers.demo.build import Built, build
from workers.demo.dictionary import load_dictionary
from workers.demo.line import LINE
from workers.demo.model import load
from workers.demo.progress import Steps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def built(folder: Path) -> Built:
    with Steps(Console(quiet=True)) as steps:
        return build(folder, TOY, steps)


def test_every_checkpoint_of_the_line_loads_with_its_tokenizer(built: Built) -> None:
    assert list(built.checkpoints) == ["base", *(checkpoint.name for checkpoint in LINE)]
    text = parse_jsonl(built.probe_documents.read_bytes())[0].text
    ids = set()
    for path in built.checkpoints.values():
        load(path)
        ids.add(tuple(AutoTokenizer.from_pretrained(path)(text)["input_ids"]))
    assert len(ids) == 1


def test_checkpoints_differ_exactly_where_they_should(built: Built) -> None:
    weights = {
        name: (path / "model.safetensors").read_bytes() for name, path in built.checkpoints.items()
    }
    assert weights["copy"] == weights["base"]
    assert len(set(weights.values())) == len(weights) - 1
    assert load(built.checkpoints["bf16"], torch.bfloat16).dtype == torch.bfloat16


def test_features_are_of_every_kind_and_valid(built: Built) -> None:
    features = TypeAdapter(tuple[Feature, ...]).validate_json(built.features.read_text())
    check_feature_list(features)
    assert len(features) >= 14
    kinds = {feature.kind for feature in features}
    assert kinds == {"sae_latent", "linear_probe", "direction", "neuron", "composite"}
    claimed = {feature.name for feature in features if feature.concept is not None}
    assert len(claimed) >= 12
    assert set(built.worth) == claimed


def test_the_dictionary_is_one_that_saelens_reads(built: Built) -> None:
    sae = load_dictionary(built.dictionary)
    assert sae.cfg.d_in == TOY.width
    assert sae.cfg.d_sae == TOY.latents
    assert sae.cfg.metadata.hook_name == TOY.site
    assert 0 < built.facts["fvu"] < 1


def test_a_second_build_reuses_every_piece(built: Built, folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    with Steps(Console(quiet=True)) as steps:
        again = build(folder, TOY, steps)
    assert again == built
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_a_missing_piece_alone_is_built_again(built: Built, folder: Path) -> None:
    kept = built.checkpoints["base"] / "model.safetensors"
    before = kept.stat().st_mtime_ns
    lost = built.checkpoints["rotated"]
    for path in lost.iterdir():
        path.unlink()
    lost.rmdir()
    with Steps(Console(quiet=True)) as steps:
        build(folder, TOY, steps)
    assert lost.is_dir()
    assert kept.stat().st_mtime_ns == before
    assert json.loads((lost / "config.json").read_text())["tie_word_embeddings"] is False
