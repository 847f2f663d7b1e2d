"""The causal effects of a checkpoint's features: one shard, one artifact."""

from collections.abc import Mapping

from app.core.faults import fault_point
from app.evaluations import snapshots
from app.evaluations.ledger import Claim
from workers.capture.tokenization import TokenizedCorpus
from workers.causal.measurement import CausalMeasurement
from workers.causal.run import measure_checkpoint
from workers.causal.settings import CausalSettings
from workers.features.dictionaries import DictionarySource
from workers.pipeline.artifacts import causal_artifact, snapshot_size
from workers.pipeline.context import Context
from workers.pipeline.lease import Lease
from workers.pipeline.order import Order
from workers.pipeline.sources import naming


def measure_causal(
    context: Context,
    claim: Claim,
    lease: Lease,
    order: Order,
    tokens: TokenizedCorpus,
    sources: Mapping[str, DictionarySource],
) -> None:
    """Measure, store, and complete the snapshot.

    Raises:
        EvaluationError: the checkpoint or its features do not fit or have changed.
        StaleAttempt: the claim is lost.
    """
    measured = _measure(context, lease, order, tokens, sources)
    lease.check()
    context.store.write_bytes(causal_artifact(order.snapshot.key), measured.to_bytes())
    fault_point("after-artifact")
    abstract = {"causal": order.snapshot.inputs["causal"]}
    size = snapshot_size(context.store, order.snapshot.key)
    context.settle(lambda session: snapshots.complete_snapshot(session, claim, abstract, size=size))


def _measure(
    context: Context,
    lease: Lease,
    order: Order,
    tokens: TokenizedCorpus,
    sources: Mapping[str, DictionarySource],
) -> CausalMeasurement:
    asked = dict(order.snapshot.inputs["causal"])
    names = asked.pop("features")
    settings = CausalSettings(**asked)
    by_name = {feature.name: feature.definition for feature in order.target.features}

    def on_batch(_done: int, _total: int) -> None:
        fault_point("mid-capture")
        lease.check()

    resolved = order.resolve(context)
    with naming(order.checkpoint):
        return measure_checkpoint(
            resolved,
            order.numerics(context, resolved),
            tokens,
            [by_name[name] for name in names],
            sources,
            settings,
            on_batch=on_batch,
        )
