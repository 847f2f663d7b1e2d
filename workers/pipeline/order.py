"""What one capture shard is about, as the ledger has it."""

from dataclasses import dataclass, replace

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.evaluations.ledger import Claim
from app.evaluations.tables import Shard, Snapshot
from app.registry.tables import Checkpoint
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.numerics import detect_numerics
from workers.errors import EvaluationError
from workers.features.dictionaries import DictionarySource
from workers.numerics import Numerics
from workers.pipeline.context import Context
from workers.pipeline.targets import Target, find_target


@dataclass(frozen=True)
class Order:
    """A snapshot to be captured, of which the shard is a part."""

    snapshot: Snapshot
    checkpoint: Checkpoint
    target: Target
    shards: int

    def find_dictionaries(self, context: Context) -> dict[str, DictionarySource]:
        """The dictionaries that the features read, as they were when the snapshot was planned.

        Raises:
            EvaluationError: one is missing or has changed.
        """
        sources = {d.name: context.dictionaries.find(d) for d in self.target.dictionaries}
        digests = {name: source.digest for name, source in sources.items()}
        planned = self.snapshot.inputs["dictionaries"]
        if digests != planned:
            raise EvaluationError(
                "dictionary_changed",
                f"the dictionaries have digests {digests}, but the snapshot was planned with "
                f"{planned}",
            )
        return sources

    def resolve(self, context: Context) -> ResolvedCheckpoint:
        """The checkpoint's files, with the weights that the snapshot was planned with.

        Raises:
            EvaluationError: they are missing, broken, or have changed.
        """
        resolved = context.checkpoints.resolve(self.checkpoint)
        planned = self.snapshot.inputs["weights_digest"]
        if resolved.weights_digest != planned:
            raise EvaluationError(
                "checkpoint_changed",
                f"checkpoint {self.checkpoint.name!r} at {self.checkpoint.source} was planned with "
                f"weights {planned} and now has {resolved.weights_digest}",
            )
        return resolved

    def numerics(self, context: Context, resolved: ResolvedCheckpoint) -> Numerics:
        """The numerics to compute with, which must be what this worker computes with.

        Raises:
            RuntimeError: they are not. Another worker of a mixed fleet may fit, so that this is no
                permanent failure.
        """
        planned = Numerics(**self.snapshot.inputs["numerics"])
        own = context.settings
        here = detect_numerics(
            own.dtype, own.attn_implementation, own.device, own.threads, resolved
        )
        if self.snapshot.inputs["purpose"] == "numerics":
            # This control is about just these two; the rest must be this worker's own.
            here = replace(
                here, dtype=planned.dtype, attn_implementation=planned.attn_implementation
            )
        if here != planned:
            raise RuntimeError(
                f"this worker computes with {here.to_json()}, the snapshot was planned for "
                f"{planned.to_json()}; all workers of a queue need the same settings, libraries "
                "and kind of device"
            )
        return planned


def read_order(session: Session, claim: Claim) -> Order:
    """The order of a claimed capture shard."""
    snapshot = session.get_one(Snapshot, claim.snapshot_id)
    return Order(
        snapshot=snapshot,
        checkpoint=session.get_one(Checkpoint, snapshot.checkpoint_id),
        target=find_target(session, snapshot.plan["target"]),
        shards=session.scalar(select(func.count()).where(Shard.snapshot_id == snapshot.id)) or 0,
    )
