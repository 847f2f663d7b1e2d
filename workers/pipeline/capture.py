"""One shard of a snapshot: some batches through the model, and the manifest after the last."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.faults import fault_point
from app.evaluations import snapshots
from app.evaluations.ledger import Claim
from app.evaluations.tables import Shard, Snapshot
from app.registry.tables import Checkpoint
from workers.capture.batches import plan_batches
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.loading import LoadedModel, load_model
from workers.capture.numerics import detect_numerics
from workers.capture.run import Capture, capture_batches
from workers.capture.tokenization import TokenizedCorpus
from workers.errors import EvaluationError
from workers.features.health import merge_health
from workers.features.plan import FeaturePlan
from workers.numerics import Numerics
from workers.pipeline.context import Context
from workers.pipeline.corpus import load_tokens
from workers.pipeline.lease import Lease
from workers.pipeline.sources import naming
from workers.pipeline.targets import Target, feature_plan, find_target
from workers.snapshots import Manifest, finish, write_shard


@dataclass(frozen=True)
class _Order:
    """What is to be captured, as the ledger has it."""

    snapshot: Snapshot
    checkpoint: Checkpoint
    target: Target
    shards: int


def capture(context: Context, claim: Claim, lease: Lease) -> None:
    """Capture the claimed batches; the last shard of a snapshot completes it.

    Raises:
        EvaluationError: the checkpoint, its features or the corpus do not fit or have changed.
        StaleAttempt: the claim is lost.
    """
    with context.database.unit_of_work() as session:
        order = _read(session, claim)
    tokens = load_tokens(context, order.snapshot.plan["tokens_key"])
    plan = _feature_plan(context, order)
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
    fault_point("before-finish")
    abstract = _abstract(manifest)
    context.settle(lambda session: snapshots.complete_snapshot(session, claim, abstract))


def _read(session: Session, claim: Claim) -> _Order:
    snapshot = session.get_one(Snapshot, claim.snapshot_id)
    return _Order(
        snapshot=snapshot,
        checkpoint=session.get_one(Checkpoint, snapshot.checkpoint_id),
        target=find_target(session, snapshot.plan["target"]),
        shards=session.scalar(select(func.count()).where(Shard.snapshot_id == snapshot.id)) or 0,
    )


def _feature_plan(context: Context, order: _Order) -> FeaturePlan:
    sources = {d.name: context.dictionaries.find(d) for d in order.target.dictionaries}
    digests = {name: source.digest for name, source in sources.items()}
    if digests != order.snapshot.inputs["dictionaries"]:
        raise EvaluationError(
            "dictionary_changed",
            f"the dictionaries have digests {digests}, but the snapshot was planned with "
            f"{order.snapshot.inputs['dictionaries']}",
        )
    return feature_plan(order.target, sources)


def _capture(
    context: Context,
    claim: Claim,
    lease: Lease,
    order: _Order,
    tokens: TokenizedCorpus,
    plan: FeaturePlan,
) -> None:
    inputs = order.snapshot.inputs
    if claim.first_batch is None or claim.stop_batch is None:
        raise ValueError(f"capture shard {claim.shard_id} has no batches")
    resolved = context.checkpoints.resolve(order.checkpoint)
    if resolved.weights_digest != inputs["weights_digest"]:
        raise EvaluationError(
            "checkpoint_changed",
            f"checkpoint {order.checkpoint.name!r} at {order.checkpoint.source} was planned with "
            f"weights {inputs['weights_digest']} and now has {resolved.weights_digest}",
        )
    lease.check()
    with naming(order.checkpoint):
        model = _load(context, resolved, inputs)
    lease.check()

    def on_batch(_done: int, _total: int) -> None:
        fault_point("mid-capture")
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
        )
    lease.check()
    _write(context, claim, order.snapshot.key, found)


def _load(context: Context, resolved: ResolvedCheckpoint, inputs: dict[str, Any]) -> LoadedModel:
    numerics = Numerics(**inputs["numerics"])
    settings = context.settings
    here = detect_numerics(
        settings.dtype, settings.attn_implementation, settings.device, settings.threads, resolved
    )
    if here != numerics:
        # Another worker of a mixed fleet may fit, so this is no permanent failure.
        raise RuntimeError(
            f"this worker computes with {here.to_json()}, the snapshot was planned for "
            f"{numerics.to_json()}; all workers of a queue need the same settings, libraries and "
            "kind of device"
        )
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
    )


def _abstract(manifest: Manifest) -> dict[str, Any]:
    """The manifest without what would fill a row: a dictionary may have a million columns."""
    document = manifest.to_json()
    return {key: document[key] for key in document if key not in ("columns", "inputs", "shards")}
