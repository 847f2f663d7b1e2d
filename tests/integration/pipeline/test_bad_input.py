"""What cannot be evaluated fails once, for good, with a reason that a person can act on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from safetensors.torch import load_file, save_file
from sqlalchemy import select
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from app.evaluations.tables import Evaluation, Shard
from tests.support.deployment import SITE, World, documents, save_dictionary
from tests.support.models import save_checkpoint, train_tokenizer

PROBE = {"kind": "linear_probe", "name": "probe", "site": SITE, "weights": [1.0] * 16}

Run = Callable[..., Evaluation]


@pytest.fixture
def folder(world: World, tmp_path: Path, checkpoints: dict[str, Path]) -> Path:
    """A copy of the base checkpoint, to be spoilt."""
    copy = world.models / tmp_path.name
    shutil.copytree(checkpoints["base"], copy)
    return copy


@pytest.fixture
def run(world: World, checkpoints: dict[str, Path]) -> Run:
    """Evaluate a folder against the base, and wait for the end."""

    def evaluate(
        source: Path,
        *definitions: dict[str, Any],
        corpus: UUID | None = None,
        accepted: Callable[[UUID], object] = lambda _: None,
        **registered: Any,
    ) -> Evaluation:
        model = world.model()
        features = world.feature_set(definitions or [PROBE])
        monitor = world.monitor(model, corpus or world.corpus(), feature_set=features)
        base = world.checkpoint(model, checkpoints["base"])
        candidate = world.checkpoint(model, source, **registered)
        evaluation = world.wait(world.evaluate(monitor, candidate, base))
        assert _open_shards(world, evaluation.id) == 0
        return evaluation

    return evaluate


def _open_shards(world: World, evaluation_id: UUID) -> int:
    with world.database.unit_of_work() as session:
        rows = session.scalars(
            select(Shard).where(
                Shard.evaluation_id == evaluation_id, Shard.state.in_(["queued", "running"])
            )
        )
        return len(rows.all())


def _failed(evaluation: Evaluation, code: str, *words: str) -> None:
    assert evaluation.state == "failed", evaluation.error
    assert evaluation.error is not None
    assert evaluation.error["code"] == code, evaluation.error
    for word in words:
        assert word in evaluation.error["detail"]


def _spoil(folder: Path, value: float) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    next(w for name, w in weights.items() if "layers.0" in name and w.ndim > 1)[0, 0] = value
    save_file(weights, path, metadata={"format": "pt"})


def test_a_checkpoint_deleted_after_registration(run: Run, folder: Path) -> None:
    shutil.rmtree(folder)
    _failed(run(folder), "checkpoint_missing", str(folder))


def test_a_checkpoint_whose_weights_changed_since_they_were_first_read(
    world: World, run: Run, folder: Path, checkpoints: dict[str, Path]
) -> None:
    model = world.model()
    monitor = world.monitor(model, world.corpus(), feature_set=world.feature_set([PROBE]))
    base = world.checkpoint(model, checkpoints["base"])
    candidate = world.checkpoint(model, folder)
    first = world.wait(world.evaluate(monitor, candidate, base))
    assert first.state == "succeeded", first.error
    _spoil(folder, 1.0)
    second = world.wait(world.evaluate(monitor, candidate, base))
    _failed(second, "checkpoint_changed", str(folder))


def test_a_digest_that_the_caller_claimed_and_the_weights_do_not_have(
    run: Run, folder: Path
) -> None:
    _failed(run(folder, registered_digest="0" * 64), "checkpoint_changed", "0" * 64)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(run: Run, folder: Path, value: float) -> None:
    _spoil(folder, value)
    _failed(run(folder), "weights_not_finite", "layers.0")


def test_truncated_weights(run: Run, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    _failed(run(folder), "weights_damaged", "model.safetensors")


def test_pickled_weights(run: Run, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    _failed(run(folder), "pickle_refused", "pytorch_model.bin")


def test_a_model_that_brings_its_own_code(run: Run, folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"auto_map": {"AutoModel": "modeling.Evil"}}
    path.write_text(json.dumps(config))
    _failed(run(folder), "remote_code_refused", "auto_map")


def test_a_path_outside_the_allowed_roots(run: Run, tmp_path: Path) -> None:
    outside = save_checkpoint(tmp_path / "outside")
    _failed(run(outside), "source_outside_roots", str(outside))


def test_a_symlink_out_of_the_allowed_roots(world: World, run: Run, tmp_path: Path) -> None:
    link = world.models / f"link-{tmp_path.name}"
    link.symlink_to(save_checkpoint(tmp_path / "outside"))
    _failed(run(link), "source_outside_roots")


def test_a_site_that_the_model_does_not_have(run: Run, checkpoints: dict[str, Path]) -> None:
    definition = PROBE | {"site": "blocks.99.hook_resid_post"}
    _failed(run(checkpoints["other"], definition), "site_unknown", "blocks.99")


def test_a_probe_of_the_wrong_width(run: Run, checkpoints: dict[str, Path]) -> None:
    definition = PROBE | {"weights": [1.0] * 5}
    _failed(run(checkpoints["other"], definition), "width_mismatch", "probe", "5", "16")


def test_a_dictionary_that_does_not_fit_its_site(
    world: World, run: Run, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    name = world.dictionary(save_dictionary(world.models / f"sae-{tmp_path.name}", d_in=8))
    latent = {"kind": "sae_latent", "name": "latent", "dictionary": name, "index": 0}
    _failed(run(checkpoints["other"], latent), "width_mismatch", name, "8", "16")


def test_a_latent_that_the_dictionary_does_not_have(
    world: World, run: Run, checkpoints: dict[str, Path]
) -> None:
    name = world.dictionary(checkpoints["dictionary"])
    latent = {"kind": "sae_latent", "name": "latent", "dictionary": name, "index": 24}
    _failed(run(checkpoints["other"], latent), "latent_out_of_range", "24")


def test_a_dictionary_that_changed_after_registration(
    world: World, run: Run, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    place = world.models / f"sae-{tmp_path.name}"
    name = world.dictionary(save_dictionary(place))
    shutil.rmtree(place)
    save_dictionary(place, seed=1)
    latent = {"kind": "sae_latent", "name": "latent", "dictionary": name, "index": 0}
    _failed(run(checkpoints["other"], latent), "dictionary_changed", name)


def test_a_corpus_that_is_another_or_gone_from_the_store(
    world: World, run: Run, checkpoints: dict[str, Path]
) -> None:
    corpus = world.corpus([{"id": "only-here", "text": "a text of its own"}])
    for key in list(world.store.list_keys("corpora")):
        if b"only-here" in world.store.read_bytes(key):
            world.store.write_bytes(key, world.store.read_bytes(key).replace(b"own", b"foe"))
            _failed(run(checkpoints["other"], corpus=corpus), "corpus_changed", key)
            world.store.delete_prefix(key)
    _failed(run(checkpoints["other"], corpus=corpus), "corpus_missing")


def test_documents_longer_than_the_context_are_split_and_near_copies_count_once(
    world: World, run: Run, checkpoints: dict[str, Path]
) -> None:
    texts = [document["text"] for document in documents(240)]
    long = [{"id": f"d{i}", "text": " ".join(texts[i::6])} for i in range(6)]
    near_copy = {"id": "again", "text": f"Once more: {long[0]['text']}"}
    evaluation = run(checkpoints["other"], corpus=world.corpus([*long, near_copy]))
    assert evaluation.state == "succeeded", evaluation.error
    assert world.verdicts(evaluation.id)["probe"].documents == 6


def test_another_tokenizer_is_compared_by_words_and_says_so(run: Run, folder: Path) -> None:
    texts = [document["text"].upper() for document in documents()]
    train_tokenizer(texts).save_pretrained(folder)
    evaluation = run(folder)
    assert evaluation.state == "succeeded", evaluation.error
    assert evaluation.summary is not None
    summary = evaluation.summary["comparisons"]["baseline"]
    assert summary["invalid_reason"] or "tokenizers differ" in " ".join(summary["notes"])


def test_the_same_question_can_be_asked_again_once_the_fault_is_mended(
    world: World, folder: Path, checkpoints: dict[str, Path]
) -> None:
    from app.evaluations.ledger import retry_evaluation

    hidden = folder.rename(folder.with_name(folder.name + "-hidden"))
    model = world.model()
    monitor = world.monitor(model, world.corpus(), feature_set=world.feature_set([PROBE]))
    base = world.checkpoint(model, checkpoints["base"])
    evaluation_id = world.evaluate(monitor, world.checkpoint(model, folder), base)
    _failed(world.wait(evaluation_id), "checkpoint_missing")
    hidden.rename(folder)
    with world.database.unit_of_work() as session:
        retry_evaluation(session, evaluation_id)
    assert world.wait(evaluation_id).state == "succeeded"


@pytest.mark.parametrize("fault", ["missing", "not finite", "no tokens", "nonsense"])
def test_a_broken_previous_checkpoint_does_not_condemn_the_next(
    world: World, folder: Path, checkpoints: dict[str, Path], fault: str
) -> None:
    model = world.model()
    monitor = world.monitor(model, world.corpus(), feature_set=world.feature_set([PROBE]))
    base, same = (world.checkpoint(model, checkpoints[name]) for name in ("base", "same"))
    broken = world.checkpoint(model, folder)
    if fault == "missing":
        shutil.rmtree(folder)
    elif fault == "not finite":
        _spoil(folder, float("nan"))
    elif fault == "nonsense":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"num_attention_heads": 0}))
    else:
        mute = Tokenizer(BPE({"\u0000": 0}, []))
        PreTrainedTokenizerFast(tokenizer_object=mute).save_pretrained(folder)
    first = world.wait(world.evaluate(monitor, broken, base))
    assert first.state == "failed"
    assert first.error is not None
    second = world.wait(world.evaluate(monitor, same, base, previous=broken))
    assert second.state == "succeeded", second.error
    assert second.summary is not None
    assert set(second.summary["comparisons"]) == {"baseline"}
    assert set(second.summary["sides"]) == {"candidate", "baseline"}
    assert second.summary["without_previous"] == first.error["detail"]
    assert str(folder) in first.error["detail"]
    assert world.verdicts(second.id)["probe"].effect == 0
