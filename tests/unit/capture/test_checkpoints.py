"""What is a checkpoint, what is the same checkpoint, and every source that is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from tests.support.models import CONTEXT, LAYERS, VOCABULARY, WIDTH, random_model, save_checkpoint
from workers.capture.checkpoints import ResolvedCheckpoint, resolve_checkpoint
from workers.capture.loading import ModelCache, load_model
from workers.capture.numerics import detect_numerics
from workers.errors import EvaluationError

Resolve = Callable[..., ResolvedCheckpoint]


@pytest.fixture
def folder(model_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy of a Llama checkpoint under the root."""
    place = model_root / tmp_path_factory.mktemp("unique").name
    return save_checkpoint(place, "llama")


def refusal(resolve: Resolve, source: Path | str, revision: str | None = None) -> EvaluationError:
    with pytest.raises(EvaluationError) as failure:
        resolve(source, revision)
    return failure.value


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def load(resolved: ResolvedCheckpoint, dtype: str = "float32") -> Any:
    return load_model(resolved, detect_numerics(dtype, "sdpa", "cpu", 1, resolved))


def test_a_checkpoint_says_what_it_is(folder: Path, resolve: Resolve) -> None:
    resolved = resolve(folder)
    assert (resolved.width, resolved.layers) == (WIDTH, LAYERS)
    assert (resolved.context_length, resolved.vocabulary) == (CONTEXT, VOCABULARY)
    assert resolved.architecture == "llama"
    assert resolve(folder.as_uri()).digest == resolved.digest


def test_resharding_and_saving_again_change_no_digest(
    folder: Path, resolve: Resolve, model_root: Path
) -> None:
    first = resolve(folder)
    sharded = save_checkpoint(model_root / f"{folder.name}-sharded", max_shard_size="20KB")
    assert len(list(sharded.glob("*.safetensors"))) > 1
    second = resolve(sharded)
    assert second.weights_digest == first.weights_digest
    assert second.config_digest == first.config_digest
    assert second.tokenizer_digest == first.tokenizer_digest
    for name, parameter in load(first).module.state_dict().items():
        assert torch.equal(parameter, load(second).module.state_dict()[name])


def test_one_changed_weight_changes_the_weights_digest(folder: Path, resolve: Resolve) -> None:
    before = resolve(folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] += 1e-3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    after = resolve(folder)
    assert after.weights_digest != before.weights_digest
    assert after.config_digest == before.config_digest


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"rms_norm_eps": 1e-3}, False),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, False),
        ({"num_attention_heads": 8}, False),
        ({"transformers_version": "4.0.0", "_name_or_path": "x", "use_cache": False}, True),
        ({"dtype": "bfloat16", "attention_dropout": 0.5}, True),
    ],
)
def test_only_what_changes_activations_changes_the_config_digest(
    change: dict[str, Any], same: bool, folder: Path, resolve: Resolve
) -> None:
    before = resolve(folder)
    edit_json(folder / "config.json", **change)
    after = resolve(folder)
    assert (after.config_digest == before.config_digest) is same
    assert (after.digest == before.digest) is same


def test_a_chat_template_leaves_the_tokenizer_the_same(folder: Path, resolve: Resolve) -> None:
    before = resolve(folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert resolve(folder).tokenizer_digest == before.tokenizer_digest
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["truncation"] = {
        "direction": "Right",
        "max_length": 8,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert resolve(folder).tokenizer_digest == before.tokenizer_digest
    tokenizer["model"]["merges"].pop()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert resolve(folder).tokenizer_digest != before.tokenizer_digest


def test_a_path_outside_the_roots_is_refused(
    tmp_path: Path, folder: Path, resolve: Resolve
) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(folder, outside)
    assert refusal(resolve, outside).code == "source_outside_roots"
    assert refusal(resolve, f"{folder}/../{folder.name}").code == "source_outside_roots"
    link = folder.parent / f"{folder.name}-link"
    link.symlink_to(outside)
    assert refusal(resolve, link).code == "source_outside_roots"


def test_a_file_that_links_out_of_the_roots_is_refused(
    tmp_path: Path, folder: Path, resolve: Resolve
) -> None:
    weights = folder / "model.safetensors"
    shutil.move(weights, tmp_path / "elsewhere.safetensors")
    weights.symlink_to(tmp_path / "elsewhere.safetensors")
    assert refusal(resolve, folder).code == "source_outside_roots"


def test_a_missing_checkpoint_is_refused(model_root: Path, resolve: Resolve) -> None:
    assert refusal(resolve, model_root / "nowhere").code == "source_missing"


@pytest.mark.parametrize("keep", [4, 200, -1])
def test_a_truncated_file_is_refused(keep: int, folder: Path, resolve: Resolve) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    failure = refusal(resolve, folder)
    assert failure.code == "weights_damaged"
    assert "model.safetensors" in failure.detail


def test_a_missing_shard_is_refused(model_root: Path, resolve: Resolve) -> None:
    sharded = save_checkpoint(model_root / "lost-shard", max_shard_size="20KB")
    lost = sorted(sharded.glob("model-*.safetensors"))[1]
    lost.unlink()
    failure = refusal(resolve, sharded)
    assert failure.code == "weights_missing"
    assert lost.name in failure.detail


def test_pickles_are_refused(folder: Path, resolve: Resolve) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    failure = refusal(resolve, folder)
    assert failure.code == "pickle_refused"
    assert "pytorch_model.bin" in failure.detail


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_that_comes_with_a_checkpoint_is_refused(
    name: str, folder: Path, resolve: Resolve
) -> None:
    edit_json(folder / name, auto_map={"AutoModel": "modeling.Evil"})
    assert refusal(resolve, folder).code == "remote_code_refused"


def test_an_unknown_model_type_is_refused(folder: Path, resolve: Resolve) -> None:
    edit_json(folder / "config.json", model_type="mystery")
    failure = refusal(resolve, folder)
    assert failure.code == "config_invalid"
    assert "mystery" in failure.detail


def test_the_hub_is_refused_unless_allowed(resolve: Resolve) -> None:
    assert refusal(resolve, "owner/name").code == "hub_not_allowed"


def test_a_revision_of_a_folder_is_refused(folder: Path, resolve: Resolve) -> None:
    assert refusal(resolve, folder, "main").code == "revision_unsupported"


def test_a_hub_revision_becomes_a_commit(
    folder: Path, monkeypatch: pytest.MonkeyPatch, model_root: Path, tmp_path: Path
) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

    asked: list[Any] = []

    def info(_self: Any, repo: str, revision: str | None) -> ModelInfo:
        asked.append((repo, revision))
        names = [{"rfilename": file.name} for file in folder.iterdir()]
        return ModelInfo(id=repo, sha="c0ffee", siblings=names)

    def download(repo: str, *, revision: str, cache_dir: Path, allow_patterns: list[str]) -> str:
        asked.append((repo, revision))
        assert "*.bin" not in allow_patterns
        return str(shutil.copytree(folder, cache_dir / revision))

    monkeypatch.setattr(HfApi, "model_info", info)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    resolved = resolve_checkpoint(
        "hf://owner/name", "v1", roots=[model_root], cache=tmp_path, allow_hub=True
    )
    assert resolved.commit == "c0ffee"
    assert asked == [("owner/name", "v1"), ("owner/name", "c0ffee")]


def test_weights_stored_in_bf16_are_computed_in_float32(
    model_root: Path, resolve: Resolve, folder: Path
) -> None:
    model = random_model("llama").to(torch.bfloat16)
    place = model_root / f"{folder.name}-bf16"
    shutil.copytree(folder, place)
    model.save_pretrained(place)
    resolved = resolve(place)
    assert resolved.weights_digest != resolve(folder).weights_digest
    module = load(resolved).module
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert torch.equal(module.embed_tokens.weight, model.model.embed_tokens.weight.float())


def test_a_weight_that_is_missing_is_refused(folder: Path, resolve: Resolve) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.2.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EvaluationError, match=r"no weight for 'layers\.2\.mlp\.up_proj") as failure:
        load(resolve(folder))
    assert failure.value.code == "weights_missing"


def test_weights_that_the_config_does_not_use_are_refused(folder: Path, resolve: Resolve) -> None:
    edit_json(folder / "config.json", num_hidden_layers=2)
    with pytest.raises(EvaluationError, match=r"layers\.2.*num_hidden_layers") as failure:
        load(resolve(folder))
    assert failure.value.code == "weights_mismatch"


def test_weights_of_another_shape_are_refused(folder: Path, resolve: Resolve) -> None:
    edit_json(folder / "config.json", intermediate_size=32)
    with pytest.raises(EvaluationError) as failure:
        load(resolve(folder))
    assert failure.value.code == "weights_mismatch"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(
    bad: float, folder: Path, resolve: Resolve
) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.self_attn.q_proj.weight"][3, 3] = bad
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        EvaluationError, match=r"1 of 256 .*layers\.1\.self_attn\.q_proj"
    ) as failure:
        load(resolve(folder))
    assert failure.value.code == "weights_not_finite"


def test_a_checkpoint_deleted_after_it_was_resolved_is_named(
    folder: Path, resolve: Resolve
) -> None:
    resolved = resolve(folder)
    shutil.rmtree(folder)
    with pytest.raises(EvaluationError, match=folder.name) as failure:
        load(resolved)
    assert failure.value.code == "source_missing"


@pytest.mark.parametrize("task", ["CAUSAL_LM", None])
def test_an_adapter_is_merged_into_its_base(
    folder: Path, resolve: Resolve, task: str | None
) -> None:
    base = random_model("llama")
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], task_type=task, lora_alpha=8)
    adapted = get_peft_model(base, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    place = folder.parent / f"{folder.name}-adapter"
    adapted.save_pretrained(place)
    edit_json(place / "adapter_config.json", base_model_name_or_path=str(folder))
    resolved, under = resolve(place), resolve(folder)
    assert resolved.base == under
    assert resolved.weights_digest != under.weights_digest
    assert resolved.tokenizer_digest == under.tokenizer_digest
    module = load(resolved).module
    ids = torch.tensor([[4, 9, 200, 31]])
    expected = adapted(ids, output_hidden_states=True).hidden_states[-1].detach()
    found = module(ids).last_hidden_state
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, load(under).module(ids).last_hidden_state, atol=1e-2)


def test_an_adapter_whose_weights_do_not_fit_is_refused(folder: Path, resolve: Resolve) -> None:
    adapted = get_peft_model(random_model("llama"), LoraConfig(r=4, target_modules=["q_proj"]))
    place = folder.parent / f"{folder.name}-misfit"
    adapted.save_pretrained(place)
    edit_json(
        place / "adapter_config.json", base_model_name_or_path=str(folder), task_type="CAUSAL_LM"
    )
    weights = load_file(place / "adapter_model.safetensors")
    weights.pop(sorted(weights)[0])
    save_file(weights, place / "adapter_model.safetensors")
    with pytest.raises(EvaluationError, match=r"does not fit its base.*no weight for") as failure:
        load(resolve(place))
    assert failure.value.code == "adapter_invalid"


def test_an_adapter_cannot_lead_out_of_the_roots(folder: Path, resolve: Resolve) -> None:
    place = folder.parent / f"{folder.name}-escape"
    get_peft_model(random_model("llama"), LoraConfig(target_modules=["q_proj"])).save_pretrained(
        place
    )
    edit_json(place / "adapter_config.json", base_model_name_or_path="/etc")
    assert refusal(resolve, place).code == "source_outside_roots"
    edit_json(place / "adapter_config.json", base_model_name_or_path="owner/name")
    assert refusal(resolve, place).code == "hub_not_allowed"


def test_ten_monitors_load_one_checkpoint_once(folder: Path, resolve: Resolve) -> None:
    resolved = resolve(folder)
    numerics = detect_numerics("float32", "sdpa", "cpu", 1, resolved)
    other = detect_numerics("bfloat16", "sdpa", "cpu", 1, resolved)
    cache = ModelCache(capacity=1)
    first = cache.get(resolved, numerics)
    assert cache.get(resolve(folder), numerics) is first
    assert cache.get(resolved, other).module.dtype == torch.bfloat16
    assert len(cache) == 1
    assert cache.get(resolved, numerics) is not first
