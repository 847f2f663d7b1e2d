"""Which checkpoints predict a next token, and that their heads are really theirs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from app.registry.definitions import Feature, Neuron
from tests.support.models import DECODERS, random_model, save_checkpoint, train_tokenizer
from tests.worlds.causal.conftest import MakeModel
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.numerics import detect_numerics
from workers.capture.tokenization import TokenizedCorpus
from workers.causal.head import NoLanguageHeadError, load_with_head
from workers.causal.judge import judge
from workers.causal.measurement import CausalMeasurement
from workers.causal.run import measure_checkpoint
from workers.causal.settings import CausalSettings

Resolve = Callable[[Path], ResolvedCheckpoint]
IDS = torch.arange(30, 45)[None]


def load(resolved: ResolvedCheckpoint) -> Any:
    return load_with_head(resolved, detect_numerics("float32", "eager", "cpu", 1, resolved))


@pytest.mark.parametrize("family", DECODERS)
def test_a_decoders_head_is_the_stored_one(model: MakeModel, family: str) -> None:
    with torch.no_grad():
        expected = random_model(family)(input_ids=IDS).logits
        found = model(family).module(input_ids=IDS).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_an_encoder_has_no_next_token(causal_root: Path, resolve: Resolve) -> None:
    resolved = resolve(save_checkpoint(causal_root / "bert", "bert"))
    with pytest.raises(NoLanguageHeadError, match="encoder"):
        load(resolved)


def test_a_body_saved_alone_has_no_head_unless_its_embedding_is_tied(
    causal_root: Path, resolve: Resolve
) -> None:
    for family, tied in (("llama", False), ("gpt2", True)):
        network = random_model(family)
        folder = causal_root / f"{family}-body"
        network.base_model.save_pretrained(folder)
        train_tokenizer().save_pretrained(folder)
        if not tied:
            with pytest.raises(NoLanguageHeadError, match=r"lm_head\.weight"):
                load(resolve(folder))
            continue
        with torch.no_grad():
            found = load(resolve(folder)).module(input_ids=IDS).logits
            torch.testing.assert_close(found, network(input_ids=IDS).logits, rtol=1e-4, atol=1e-4)


def test_on_an_encoder_every_feature_is_not_applicable(
    causal_root: Path, resolve: Resolve, tokens: TokenizedCorpus
) -> None:
    resolved = resolve(save_checkpoint(causal_root / "encoder", "bert"))
    numerics = detect_numerics("float32", "eager", "cpu", 1, resolved)
    features: list[Feature] = [
        Neuron(name=f"n{i}", site="blocks.0.hook_resid_post", index=i) for i in range(2)
    ]
    found = measure_checkpoint(resolved, numerics, tokens, features, {}, CausalSettings())
    stored = CausalMeasurement.from_bytes(found.to_bytes())
    verdicts = judge(None, stored, np.arange(tokens.documents))
    assert {found["verdict"] for found in verdicts.values()} == {"not_applicable"}
    assert "encoder" in verdicts["n1"]["reason"]


@pytest.mark.parametrize("task", ["CAUSAL_LM", None])
@pytest.mark.parametrize("head", [True, False])
def test_an_adapter_is_merged_under_its_head(
    causal_root: Path, resolve: Resolve, task: str | None, head: bool
) -> None:
    base = causal_root / "base"
    if not base.exists():
        save_checkpoint(base, "llama")
    network = random_model("llama")
    under = network if task or head else network.model
    targets = ["q_proj", "down_proj", *(["lm_head"] if head else [])]
    adapted = get_peft_model(under, LoraConfig(r=2, target_modules=targets, task_type=task))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    folder = causal_root / f"adapter-{task}-{head}"
    adapted.save_pretrained(folder)
    loaded = load(resolve(folder))
    assert not any("lora" in name for name, _ in loaded.module.named_modules())
    assert loaded.module.get_output_embeddings() is loaded.head
    with torch.no_grad():
        expected = network(input_ids=IDS).logits
        found = loaded.module(input_ids=IDS).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    plain = random_model("llama")
    assert (plain(input_ids=IDS).logits - found).abs().max() > 0.05
