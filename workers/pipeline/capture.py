"""One shard of a snapshot: some batches through the model, and the manifest after the last."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.core import telemetry
from app.core.faults import fault_point
from app.evaluations import snapshots
from app.evaluations.ledger import Claim
from workers.capture.activations import sample_sequences
from workers.capture.batches import plan_batches
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.loading import LoadedModel, load_model
from workers.capture.randomised import load_randomised
from workers.capture.run import Capture, capture_batches
from workers.capture.tokenization import TokenizedCorpus
from workers.features.health import merge_health
from workers.features.plan import FeaturePlan
from workers.pipeline.artifacts import snapshot_size
from workers.pipeline.context import Context
from workers.pipeline.corpus import load_tokens
from workers.pipeline.lease import Lease
from workers.pipeline.measure import measure_causal
from workers.pipeline.order import Order, read_order
from workers.pipeline.sources import naming
from workers.pipeline.targets import feature_plan
from workers.snapshots import Manifest, finish, write_shard


def capture(context: Context, claim: Claim, lease: Lease) -> None:
    """Capture the claimed batches; the last shard of a snapshot completes it.

    Raises:
        EvaluationError: the checkpoint, its features or the corpus do not fit or have changed.
        StaleAttempt: the claim is lost.
    """
    with context.database.unit_of_work() as session:
        order = read_order(session, claim)
    tokens = load_tokens(context, order.snapshot.plan["tokens_key"])
    sources = order.find_dictionaries(context)
    if order.snapshot.inputs["purpose"] == "causal":
        measure_causal(context, claim, lease, order, tokens, sources)
        return
    plan = feature_plan(order.target, sources)
    telemetry.current_span().set(
        featuredrift__features=len(plan.columns.sparse) + len(plan.columns.dense),
        featuredrift__purpose=order.snapshot.inputs["purpose"],
    )
    _capture(context, claim, lease, order, tokens, plan)
    fault_point("after-artifact")
    lease.check()
    if not context.settle(lambda session: snapshots.is_last_of_snapshot(session, claim)):
        return
    fault_point("before-manifest")
    manifest = finish(
        context.store,
        order.snapshot.key,
        inputs=order.snapshot.inputs,
        columns=plan.columns,
        shards=order.shards,
        documents=tokens.documents,
        split_documents=tokens.split_documents,
        merge_health=merge_health,
    )
    fault_point("before-finish", claim.kind)
    abstract = _abstract(manifest)
    size = snapshot_size(context.store, order.snapshot.key)
    context.settle(lambda session: snapshots.complete_snapshot(session, claim, abstract, size=size))


def _capture(
    context: Context,
    claim: Claim,
    lease: Lease,
    order: Order,
    tokens: TokenizedCorpus,
    plan: FeaturePlan,
) -> None:
    inputs = order.snapshot.inputs
    if claim.first_batch is None or claim.stop_batch is None:
        raise ValueError(f"capture shard {claim.shard_id} has no batches")
    resolved = order.resolve(context)
    lease.check()
    with naming(order.checkpoint):
        model = _load(context, order, resolved)
    lease.check()

    def on_batch(_done: int, _total: int) -> None:
        fault_point("mid-capture", order.checkpoint.name)
        lease.check()

    with naming(order.checkpoint):
        found = capture_batches(
            model,
            tokens,
            plan_batches(tokens.lengths, inputs["batch_tokens"]),
            claim.first_batch,
            claim.stop_batch,
            plan,
            on_batch=on_batch,
            activation_sequences=_kept_sequences(inputs, tokens),
        )
    telemetry.current_span().set(featuredrift__tokens=len(found.content.document))
    lease.check()
    _write(context, claim, order.snapshot.key, found)


def _kept_sequences(inputs: dict[str, Any], tokens: TokenizedCorpus) -> NDArray[np.bool_] | None:
    kept = inputs.get("activations")
    return sample_sequences(tokens, kept["tokens"]) if kept else None


def _load(context: Context, order: Order, resolved: ResolvedCheckpoint) -> LoadedModel:
    numerics = order.numerics(context, resolved)
    inputs = order.snapshot.inputs
    if inputs["purpose"] == "randomised":
        return load_randomised(resolved, numerics, **inputs["randomisation"])
    if inputs["purpose"] == "no_op":
        # The control is about loading too: a model in memory would prove nothing.
        return load_model(resolved, numerics)
    return context.models.get(resolved, numerics)


def _write(context: Context, claim: Claim, key: str, found: Capture) -> None:
    write_shard(
        context.store,
        key,
        claim.position,
        found.content,
        first_batch=claim.first_batch or 0,
        stop_batch=claim.stop_batch or 0,
        extra_tensors=found.health_tensors(),
        activations=found.activations,
    )


def _abstract(manifest: Manifest) -> dict[str, Any]:
    """The manifest without what would fill a row: a dictionary may have a million columns."""
    document = manifest.to_json()
    return {
        key: document[key]
        for key in document
        if key not in ("activations", "columns", "inputs", "shards")
    }
