"""A capture is the same to the last bit however it is cut, and refuses what is not finite."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sae_lens import SAE

from app.registry.definitions import Component, Composite, LinearProbe, Neuron, SaeLatent
from tests.support.dictionaries import save_dictionary
from tests.support.models import CONFIGS, TEXTS, WIDTH
from workers.capture.batches import BatchPlan, partition, plan_batches
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.forward import SiteReader
from workers.capture.loading import LoadedModel
from workers.capture.run import Capture, capture_batches
from workers.capture.tokenization import TokenizedCorpus, tokenize_corpus
from workers.errors import EvaluationError
from workers.features.dictionaries import DictionarySource, load_dictionary
from workers.features.health import merge_health
from workers.features.plan import FeaturePlan
from workers.snapshots.format import OUTLIER, SPECIAL, ShardContent

SITE = "blocks.1.hook_resid_post"
Loaded = Callable[..., LoadedModel]


@pytest.fixture
def source(tmp_path: Path) -> DictionarySource:
    folder = save_dictionary(tmp_path / "sae", "jumprelu", d_in=WIDTH)
    return load_dictionary("sae", str(folder), roots=[tmp_path], cache=tmp_path / "cache")


def planned(resolved: ResolvedCheckpoint) -> tuple[TokenizedCorpus, BatchPlan]:
    corpus = tokenize_corpus(TEXTS, resolved, 24)
    plan = plan_batches(corpus.lengths, 72)
    assert plan.batches > 3
    return corpus, plan


def watched(source: DictionarySource) -> FeaturePlan:
    return FeaturePlan.build(
        [
            SaeLatent(name="latent", dictionary="sae", index=7),
            Neuron(name="neuron", site="blocks.0.hook_resid_pre", index=3),
            LinearProbe(name="probe", site="blocks.2.hook_mlp_out", weights=(0.1,) * WIDTH),
            Composite(
                name="both",
                operation="sum",
                components=(Component(feature="latent"), Component(feature="probe")),
            ),
        ],
        {"sae": source},
    )


def joined(parts: list[Capture]) -> dict[str, Any]:
    """All arrays of some consecutive shards, as one."""
    arrays: dict[str, Any] = {
        f.name: np.concatenate([getattr(part.content, f.name) for part in parts])
        for f in fields(ShardContent)
        if f.name != "indptr"
    }
    arrays["indptr"] = np.concatenate([np.diff(part.content.indptr) for part in parts])
    return arrays


@pytest.mark.parametrize(
    ("family", "whole"), [*((family, False) for family in CONFIGS), ("llama", True), ("bert", True)]
)
def test_shards_of_any_size_hold_the_same_bits(
    family: str, whole: bool, source: DictionarySource, loaded: Loaded
) -> None:
    model = loaded(family, "sdpa")
    corpus, plan = planned(model.resolved)
    features = FeaturePlan.whole_dictionary(source) if whole else watched(source)
    cuts = [[(0, plan.batches)], [(b, b + 1) for b in range(plan.batches)], partition(plan, 100)]
    captures = [
        [capture_batches(model, corpus, plan, first, stop, features) for first, stop in cut]
        for cut in cuts
    ]
    expected = joined(captures[0])
    health = merge_health([(part.health_tensors(), {}) for part in captures[0]])
    assert health["sae"]["fvu"] is not None
    for parts in captures[1:]:
        found = joined(parts)
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name, strict=True)
        assert merge_health([(part.health_tensors(), {}) for part in parts]) == health


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_values_belong_to_their_tokens(
    family: str, source: DictionarySource, loaded: Loaded
) -> None:
    model = loaded(family, "sdpa")
    corpus, plan = planned(model.resolved)
    capture = capture_batches(model, corpus, plan, 0, plan.batches, watched(source))
    content = capture.content
    assert len(content.document) == corpus.tokens
    tokenizer = model.resolved.load_tokenizer()
    sae = SAE.load_from_disk(source.path)
    at = 0
    for sequence in plan.order.tolist():
        span = slice(corpus.offsets[sequence], corpus.offsets[sequence + 1])
        rows = slice(at, at + span.stop - span.start)
        at = rows.stop
        assert (content.document[rows] == corpus.document[sequence]).all()
        np.testing.assert_array_equal(content.start[rows], corpus.start[span])
        ids = torch.from_numpy(corpus.ids[span].astype(np.int64))[None]
        with torch.no_grad():
            states = model.module(ids, output_hidden_states=True).hidden_states
        latent = sae.encode(states[2][0])[:, 7].detach().numpy()
        counts = np.diff(content.indptr[rows.start : rows.stop + 1])
        values = np.zeros(len(counts), dtype=np.float32)
        first, stop = content.indptr[rows.start], content.indptr[rows.stop]
        values[counts > 0] = content.values[first:stop]
        np.testing.assert_allclose(values, latent, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            content.dense[rows, 0], states[0][0, :, 3].numpy(), rtol=1e-5, atol=1e-5
        )
    special = (content.flags & SPECIAL) > 0
    assert special.sum() == corpus.special.sum()
    assert (content.start[special] == content.end[special]).all()
    first_words = content.start[(content.document == 4) & ~special]
    assert TEXTS[4][first_words[0] :].startswith("s")
    assert tokenizer.is_fast


def test_a_capture_has_the_types_of_the_snapshot_format(
    source: DictionarySource, loaded: Loaded
) -> None:
    model = loaded("llama", "sdpa")
    corpus, plan = planned(model.resolved)
    content = capture_batches(model, corpus, plan, 1, 3, watched(source)).content
    types = {f.name: str(getattr(content, f.name).dtype) for f in fields(content)}
    assert types == {
        "document": "int32",
        "start": "int32",
        "end": "int32",
        "flags": "uint8",
        "indptr": "int64",
        "indices": "int32",
        "values": "float32",
        "dense": "float32",
    }
    assert len(content.document) == plan.tokens[1:3].sum()
    assert content.values.all()


def test_outlier_tokens_are_flagged_and_left_out_of_health(
    source: DictionarySource, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded("llama", "sdpa")
    corpus, plan = planned(model.resolved)
    read = SiteReader.read

    def spoiled(self: SiteReader, ids: Any, lengths: Any) -> Any:
        values = read(self, ids, lengths)
        # A plain tensor, which may be written to.
        values[SITE] = values[SITE].clone()
        values[SITE][-1] *= 10000
        return values

    features = FeaturePlan.whole_dictionary(source)
    clean = capture_batches(model, corpus, plan, 0, plan.batches, features)
    monkeypatch.setattr(SiteReader, "read", spoiled)
    capture = capture_batches(model, corpus, plan, 0, plan.batches, features)
    flagged = (capture.content.flags & OUTLIER) > 0
    # The last row of a batch is its longest sequence.
    assert flagged[np.cumsum(plan.tokens) - 1].all()
    assert flagged.sum() == plan.batches
    before = merge_health([(clean.health_tensors(), {})])["sae"]
    after = merge_health([(capture.health_tensors(), {})])["sae"]
    assert after["outlier_tokens"] == before["outlier_tokens"] + plan.batches
    assert after["norm_mean"] < 2 * before["norm_mean"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_activation_that_is_not_finite_names_site_and_document(
    bad: float, source: DictionarySource, loaded: Loaded
) -> None:
    model = loaded("llama", "sdpa")
    corpus, plan = planned(model.resolved)
    victim = int(corpus.ids[corpus.offsets[corpus.document.tolist().index(4)]])
    carriers = {
        int(d)
        for d, i in zip(np.repeat(corpus.document, corpus.lengths), corpus.ids, strict=True)
        if i == victim
    }
    embedding = model.module.embed_tokens.weight
    saved = embedding[victim].clone()
    embedding[victim] = bad
    try:
        with pytest.raises(EvaluationError, match=r"site 'blocks\.") as failure:
            capture_batches(model, corpus, plan, 0, plan.batches, watched(source))
    finally:
        embedding[victim] = saved
    assert failure.value.code == "activation_not_finite"
    assert any(f"document {document};" in failure.value.detail for document in carriers)


def test_progress_is_told_and_may_stop_the_capture(
    source: DictionarySource, loaded: Loaded
) -> None:
    model = loaded("llama", "sdpa")
    corpus, plan = planned(model.resolved)
    told: list[tuple[int, int]] = []

    class CancelledError(Exception):
        pass

    def on_batch(done: int, total: int) -> None:
        told.append((done, total))
        if done == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        capture_batches(model, corpus, plan, 1, plan.batches, watched(source), on_batch)
    assert told == [(1, plan.batches - 1), (2, plan.batches - 1)]


def test_a_dictionary_of_another_width_is_refused(tmp_path: Path, loaded: Loaded) -> None:
    folder = save_dictionary(tmp_path / "sae", d_in=8)
    wrong = load_dictionary("sae", str(folder), roots=[tmp_path], cache=tmp_path)
    model = loaded("llama", "sdpa")
    corpus, plan = planned(model.resolved)
    with pytest.raises(EvaluationError, match=r"takes 8 entries .* 16 wide"):
        capture_batches(model, corpus, plan, 0, 1, FeaturePlan.whole_dictionary(wrong))
