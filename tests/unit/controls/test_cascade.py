"""The whole cascade on a real model: capture, fresh weights, comparison, and what is told of it."""

from pathlib import Path

import numpy as np
import pytest

from app.core.artifacts import ArtifactStore
from app.registry.definitions import Feature, Neuron
from tests.support.models import WIDTH, save_checkpoint
from workers.capture.activations import sample_sequences
from workers.capture.batches import plan_batches
from workers.capture.checkpoints import ResolvedCheckpoint, resolve_checkpoint
from workers.capture.loading import LoadedModel, load_model
from workers.capture.numerics import detect_numerics
from workers.capture.randomised import SCOPES, load_randomised
from workers.capture.run import capture_batches
from workers.capture.tokenization import TokenizedCorpus, tokenize_corpus
from workers.comparison import CorpusLabels, compare_snapshots
from workers.comparison.sites import single_sample
from workers.controls import numerics as numerics_control
from workers.controls.randomised import judge, token_level
from workers.controls.readouts import measure_chance
from workers.drift.noise import measure_floor
from workers.drift.policy import Policy
from workers.drift.verdicts import VerdictTable
from workers.features.plan import FeaturePlan
from workers.snapshots import SnapshotReader, finish, snapshot_key, write_shard

DOCUMENTS = 60
SITES = {
    "embedding": "blocks.0.hook_resid_pre",
    "low": "blocks.0.hook_mlp_out",
    "high": "blocks.2.hook_mlp_out",
}
FEATURES: dict[str, Feature] = {
    f"{level}-{i}": Neuron(name=f"{level}-{i}", site=site, index=i, concept="digit")
    for level, site in SITES.items()
    for i in range(WIDTH)
}
PLAN = FeaturePlan.build(list(FEATURES.values()), {})


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = np.random.default_rng(0)
    words = ["one", "two", "return", "0", "7", "42", "x", "self.y", "import", "    "]
    return [" ".join(rng.choice(words, 12)) for _ in range(DOCUMENTS)]


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> ResolvedCheckpoint:
    root = tmp_path_factory.mktemp("models")
    folder = save_checkpoint(root / "llama", "llama")
    return resolve_checkpoint(str(folder), None, roots=[root], cache=root / "cache")


def capture(
    store: ArtifactStore, model: LoadedModel, tokens: TokenizedCorpus, name: str, batch_tokens: int
) -> SnapshotReader:
    inputs = {"name": name, "tokenizer_digest": tokens.tokenizer_digest}
    key = snapshot_key(inputs)
    plan = plan_batches(tokens.lengths, batch_tokens)
    found = capture_batches(
        model,
        tokens,
        plan,
        0,
        plan.batches,
        PLAN,
        activation_sequences=sample_sequences(tokens, 600),
    )
    write_shard(
        store,
        key,
        0,
        found.content,
        first_batch=0,
        stop_batch=plan.batches,
        activations=found.activations,
    )
    finish(
        store,
        key,
        inputs=inputs,
        columns=PLAN.columns,
        shards=1,
        documents=tokens.documents,
        split_documents=0,
    )
    return SnapshotReader(store, key)


def test_the_cascade_tells_embeddings_from_computation(
    tmp_path: Path, texts: list[str], resolved: ResolvedCheckpoint
) -> None:
    store = ArtifactStore(tmp_path.as_uri())
    tokens = tokenize_corpus(texts, resolved, 64)
    here = detect_numerics("float32", "sdpa", "cpu", 1, resolved)
    spans = [[(i, i + 1) for i, c in enumerate(text) if c.isdigit()] for text in texts]
    corpus = CorpusLabels(np.arange(DOCUMENTS), {"digit": spans})
    concepts = dict.fromkeys(FEATURES, "digit")
    baseline = capture(store, load_model(resolved, here), tokens, "baseline", 256)
    readers = {
        scope: capture(store, load_randomised(resolved, here, scope, 0), tokens, scope, 256)
        for scope in SCOPES
    }
    tables: dict[str, VerdictTable] = {
        scope: compare_snapshots(
            baseline, reader, corpus, Policy(), concepts=concepts, numerics_may_differ=True
        ).verdicts
        for scope, reader in readers.items()
    }
    sample = single_sample(readers["all"], corpus)
    chance = measure_chance(readers["all"], sample, corpus, concepts, FEATURES, {})
    outcome = judge(tables, chance)

    # Neurons are random read-outs here, on the baseline and with fresh weights alike.
    assert outcome.passed is True
    levels = token_level(outcome)
    for name, found in outcome.features.items():
        scopes = found.figures["scopes"]
        assert scopes["top"]["unaffected"] is not name.startswith("high"), name
        assert scopes["blocks"]["unaffected"] is name.startswith("embedding"), name
        assert not scopes["all"]["unaffected"], name
        if name.startswith("embedding"):
            assert levels[name] is True
    assert sum(levels[name] is False for name in levels if name.startswith("high")) > WIDTH / 2


def test_null_updates_of_a_real_model_pair_token_by_token(
    tmp_path: Path, texts: list[str], resolved: ResolvedCheckpoint
) -> None:
    store = ArtifactStore(tmp_path.as_uri())
    tokens = tokenize_corpus(texts, resolved, 64)
    here = detect_numerics("float32", "sdpa", "cpu", 1, resolved)
    corpus = CorpusLabels(np.arange(DOCUMENTS))
    baseline = capture(store, load_model(resolved, here), tokens, "baseline", 256)
    nulls = {}
    for role, (numerics, batch_tokens) in numerics_control.null_variants(
        here, 256, resolved
    ).items():
        reader = capture(store, load_model(resolved, numerics), tokens, role, batch_tokens)
        result = compare_snapshots(baseline, reader, corpus, Policy(), numerics_may_differ=True)
        assert result.invalid_reason is None
        nulls[role] = result.verdicts
    floor = measure_floor(nulls)
    outcome = numerics_control.judge(floor, nulls)
    assert outcome.passed is True
    assert {found.source for found in floor.values()} == {"numerics_dtype"}
    assert set(outcome.figures["sources"]) == {
        "numerics_dtype",
        "numerics_batch",
        "numerics_attention",
    }
