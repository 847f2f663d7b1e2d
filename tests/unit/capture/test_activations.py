"""Raw activations are those that the features read, of whole documents, the same on every side."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.core.artifacts import ArtifactStore
from app.registry.definitions import Neuron
from tests.support.models import TEXTS, WIDTH
from workers.capture.activations import sample_sequences
from workers.capture.batches import partition, plan_batches
from workers.capture.loading import LoadedModel
from workers.capture.run import capture_batches
from workers.capture.tokenization import TokenizedCorpus, tokenize_corpus
from workers.comparison.corpus import CorpusLabels
from workers.comparison.pairing import NotComparableError
from workers.comparison.sites import feature_values, paired_sample, single_sample
from workers.features.plan import FeaturePlan
from workers.snapshots import SnapshotReader, finish, snapshot_key, write_shard

SITES = ("blocks.0.hook_resid_pre", "blocks.2.hook_mlp_out")
PLAN = FeaturePlan.build(
    [Neuron(name=f"neuron-{i}", site=SITES[i % 2], index=i) for i in range(WIDTH)], {}
)
CORPUS = CorpusLabels(np.arange(len(TEXTS)))


def write(
    store: ArtifactStore,
    model: LoadedModel,
    tokens: TokenizedCorpus,
    budget: int,
    shard_tokens: int,
    name: str,
) -> SnapshotReader:
    inputs = {"name": name, "tokenizer_digest": tokens.tokenizer_digest}
    key = snapshot_key(inputs)
    plan = plan_batches(tokens.lengths, 72)
    shards = partition(plan, shard_tokens)
    kept = sample_sequences(tokens, budget) if budget else None
    for position, (first, stop) in enumerate(shards):
        found = capture_batches(model, tokens, plan, first, stop, PLAN, activation_sequences=kept)
        write_shard(
            store,
            key,
            position,
            found.content,
            first_batch=first,
            stop_batch=stop,
            activations=found.activations,
        )
    finish(
        store,
        key,
        inputs=inputs,
        columns=PLAN.columns,
        shards=len(shards),
        documents=tokens.documents,
        split_documents=tokens.split_documents,
    )
    return SnapshotReader(store, key)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path.as_uri())


@pytest.fixture
def model(loaded: Callable[..., LoadedModel]) -> LoadedModel:
    return loaded("llama", "sdpa")


@pytest.fixture
def tokens(model: LoadedModel) -> TokenizedCorpus:
    return tokenize_corpus(TEXTS, model.resolved, 24)


def test_sequences_are_kept_whole_and_a_smaller_budget_keeps_a_part(
    tokens: TokenizedCorpus,
) -> None:
    lengths = tokens.lengths
    before = np.zeros(len(lengths), bool)
    for budget in range(tokens.tokens + 2):
        kept = sample_sequences(tokens, budget)
        assert (kept | ~before).all()
        assert lengths[kept].sum() >= min(budget, tokens.tokens)
        if kept.any():
            # Without the last sequence to join, the budget was not reached.
            assert lengths[kept].sum() - lengths.max() < budget
        before = kept
    assert before.all()
    assert not sample_sequences(tokens, 0).any()
    with pytest.raises(ValueError, match="budget of -1 tokens"):
        sample_sequences(tokens, -1)


def test_every_document_is_heard_before_any_is_heard_twice(tokens: TokenizedCorpus) -> None:
    assert tokens.split_documents > 0
    for budget in range(0, tokens.tokens, 5):
        kept = sample_sequences(tokens, budget)
        heard = np.bincount(tokens.document[kept], minlength=tokens.documents)
        available = np.bincount(tokens.document, minlength=tokens.documents)
        fewest = heard[heard < available].min(initial=heard.max())
        assert heard.max() <= fewest + 1


@pytest.mark.parametrize("shard_tokens", [60, 10_000])
def test_stored_activations_are_what_the_neurons_read(
    store: ArtifactStore, model: LoadedModel, tokens: TokenizedCorpus, shard_tokens: int
) -> None:
    reader = write(store, model, tokens, 100, shard_tokens, "a")
    assert reader.activation_sites == dict.fromkeys(SITES, WIDTH)
    rows = reader.activation_rows()
    kept = sample_sequences(tokens, 100)
    assert 0 < kept.sum() < len(kept)
    order = plan_batches(tokens.lengths, 72).order
    np.testing.assert_array_equal(
        rows, np.flatnonzero(np.repeat(kept[order], tokens.lengths[order]))
    )
    for site, parity in zip(SITES, (0, 1), strict=True):
        sample = reader.activations(site)
        names = [f"neuron-{i}" for i in range(parity, WIDTH, 2)]
        np.testing.assert_array_equal(sample.rows, rows)
        assert sample.x.dtype == np.float32
        np.testing.assert_array_equal(
            sample.x[:, parity::2], feature_values(reader, names, rows), strict=True
        )
    with pytest.raises(Exception, match=r"no raw activations of site 'blocks\.9'"):
        reader.activations("blocks.9")


def test_shard_size_changes_no_stored_activation(
    store: ArtifactStore, model: LoadedModel, tokens: TokenizedCorpus
) -> None:
    fine, coarse = (write(store, model, tokens, 100, size, str(size)) for size in (60, 10_000))
    np.testing.assert_array_equal(fine.activation_rows(), coarse.activation_rows())
    for site in SITES:
        np.testing.assert_array_equal(fine.activations(site).x, coarse.activations(site).x)


def test_a_snapshot_without_activations_is_as_it_was(
    store: ArtifactStore, model: LoadedModel, tokens: TokenizedCorpus
) -> None:
    reader = write(store, model, tokens, 0, 60, "none")
    assert "activations" not in reader.manifest.to_json()
    assert not [key for key in store.list_keys("snapshots") if "activations" in key]
    assert (reader.activation_sites, len(reader.activation_rows())) == ({}, 0)
    with pytest.raises(NotComparableError, match="no raw activations"):
        single_sample(reader, CORPUS)


def test_a_damaged_activation_file_is_refused(
    store: ArtifactStore, model: LoadedModel, tokens: TokenizedCorpus
) -> None:
    reader = write(store, model, tokens, 100, 60, "a")
    name = next(k for k in store.list_keys("snapshots") if "activations-00001" in k)
    path = store.local_path(name)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(Exception, match=r"activations-00001\.safetensors is damaged"):
        reader.activation_rows()


def test_two_snapshots_are_sampled_where_both_hold_activations(
    store: ArtifactStore, model: LoadedModel, tokens: TokenizedCorpus
) -> None:
    small, large = (
        write(store, model, tokens, 40, 60, "a"),
        write(store, model, tokens, 150, 90, "b"),
    )
    sample = paired_sample(small, large, CORPUS)
    assert 0 < len(sample) <= len(small.activation_rows()) < len(large.activation_rows())
    assert (sample.cluster >= 0).all()
    assert set(sample.rows) <= set(small.activation_rows())
    np.testing.assert_array_equal(sample.cluster, sample.document)
    for site in SITES:
        assert sample.a[site].shape == (len(sample), WIDTH)
        np.testing.assert_array_equal(sample.a[site], sample.b[site])
    assert single_sample(small, CORPUS).b == {}
    with pytest.raises(KeyError):
        sample.a["elsewhere"]
