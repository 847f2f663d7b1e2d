"""The first step of an evaluation: read the sources, cut the corpus, name the snapshots."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.faults import fault_point
from app.evaluations import ledger
from app.evaluations.ledger import Claim
from app.evaluations.snapshots import SnapshotNeed, plan_evaluation
from app.evaluations.tables import Evaluation, Snapshot
from app.registry.tables import Checkpoint, Corpus, Dictionary
from workers.capture.batches import BatchPlan, partition, plan_batches
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.numerics import detect_numerics
from workers.controls.no_op import control_batches
from workers.errors import EvaluationError
from workers.features.dictionaries import DictionarySource
from workers.pipeline.context import Context
from workers.pipeline.corpus import tokens_of
from workers.pipeline.lease import Lease
from workers.pipeline.targets import Target, feature_plan, load_target
from workers.snapshots import SnapshotReader, snapshot_key


@dataclass(frozen=True)
class _Question:
    """What an evaluation asks, as the registry has it."""

    evaluation: Evaluation
    corpus: Corpus
    target: Target
    checkpoints: Mapping[str, Checkpoint]
    """By role: candidate, baseline, and previous where there is one."""

    def alone(self) -> "_Question":
        """The same without the step from the previous checkpoint."""
        kept = {role: one for role, one in self.checkpoints.items() if role != "previous"}
        return replace(self, checkpoints=kept)


class _PreviousUnusableError(Exception):
    """The previous checkpoint cannot be captured, which is no fault of the candidate's."""


@contextmanager
def _blaming(role: str) -> Iterator[None]:
    try:
        yield
    except EvaluationError as error:
        if role == "previous":
            raise _PreviousUnusableError(error.detail) from error
        raise


def plan(context: Context, claim: Claim, lease: Lease) -> None:
    """Resolve the checkpoints, tokenize the corpus, and enqueue the snapshots that are missing.

    Raises:
        EvaluationError: a checkpoint is missing, broken or not what it was.
        StaleAttempt: the claim is lost.
    """
    with context.database.unit_of_work() as session:
        question = _read(session, claim.evaluation_id)
        ledger.start_evaluation(session, question.evaluation.id)
    without_previous = None
    try:
        needs = _needs(context, question, lease)
    except _PreviousUnusableError as error:
        without_previous = str(error)
        needs = _needs(context, question.alone(), lease)
    vanished = _vanished(context, [need.key for need in needs])
    lease.check()
    fault_point("before-finish")
    context.settle(
        lambda session: plan_evaluation(
            session, claim, needs, vanished=vanished, without_previous=without_previous
        )
    )


def _read(session: Session, evaluation_id: UUID | None) -> _Question:
    evaluation = session.get_one(Evaluation, evaluation_id)
    checkpoints = {
        "candidate": session.get_one(Checkpoint, evaluation.checkpoint_id),
        "baseline": session.get_one(Checkpoint, evaluation.baseline_checkpoint_id),
    }
    if evaluation.previous_checkpoint_id is not None:
        checkpoints["previous"] = session.get_one(Checkpoint, evaluation.previous_checkpoint_id)
    return _Question(
        evaluation=evaluation,
        corpus=session.get_one(Corpus, evaluation.corpus_id),
        target=load_target(session, evaluation),
        checkpoints=checkpoints,
    )


def _resolve(context: Context, checkpoint: Checkpoint) -> ResolvedCheckpoint:
    """Resolve a checkpoint, and record its digests if this is the first time."""
    resolved = context.checkpoints.resolve(checkpoint)
    with context.database.unit_of_work() as session:
        row = session.scalars(
            select(Checkpoint).where(Checkpoint.id == checkpoint.id).with_for_update(key_share=True)
        ).one()
        first = row.resolved_at is None
        if first:
            row.resolved_at = session.scalar(select(func.now()))
            row.resolved_revision = resolved.commit
            row.weights_digest = resolved.weights_digest
            row.config_digest = resolved.config_digest
            row.tokenizer_digest = resolved.tokenizer_digest
            row.properties = {
                "architecture": resolved.architecture,
                "layers": resolved.layers,
                "width": resolved.width,
                "context_length": resolved.context_length,
                "vocabulary": resolved.vocabulary,
                "adapter": resolved.base is not None,
            }
    # Another worker may have read other bytes first; then this one must not go on.
    return resolved if first else context.checkpoints.resolve(row)


def _needs(context: Context, question: _Question, lease: Lease) -> list[SnapshotNeed]:
    settings = context.settings
    resolved: dict[UUID, ResolvedCheckpoint] = {}
    for role, checkpoint in question.checkpoints.items():
        lease.check()
        if checkpoint.id not in resolved:
            with _blaming(role):
                resolved[checkpoint.id] = _resolve(context, checkpoint)
    lease.check()
    sequence_length = min(
        settings.sequence_length, *(one.context_length for one in resolved.values())
    )
    dictionaries = {d.name: _find_dictionary(context, d) for d in question.target.dictionaries}
    features_digest = question.target.digest(dictionaries)
    # Refuses features that do not fit their dictionaries before any model is loaded.
    feature_plan(question.target, dictionaries)
    needs: list[SnapshotNeed] = []
    for role, checkpoint in question.checkpoints.items():
        lease.check()
        one = resolved[checkpoint.id]
        with _blaming(role):
            tokens_key, tokens = tokens_of(context, question.corpus, one, sequence_length)
        batches = plan_batches(tokens.lengths, settings.batch_tokens)
        numerics = detect_numerics(
            settings.dtype, settings.attn_implementation, settings.device, settings.threads, one
        )
        inputs = {
            "weights_digest": one.weights_digest,
            "config_digest": one.config_digest,
            "tokenizer_digest": one.tokenizer_digest,
            "corpus_digest": question.corpus.digest,
            "features_digest": features_digest,
            "dictionaries": {name: source.digest for name, source in dictionaries.items()},
            "sequence_length": sequence_length,
            "batch_tokens": settings.batch_tokens,
            "numerics": numerics.to_json(),
            "purpose": "features",
        }
        plan = {"tokens_key": tokens_key, "target": question.target.reference}
        needs.append(
            SnapshotNeed(
                role=role,
                key=snapshot_key(inputs),
                checkpoint_id=checkpoint.id,
                inputs=inputs,
                plan=plan,
                shards=partition(batches, settings.tokens_per_shard),
            )
        )
        if role == "baseline":
            needs.append(_no_op(question.evaluation, needs[-1], batches))
    return needs


def _find_dictionary(context: Context, dictionary: Dictionary) -> DictionarySource:
    """Find a dictionary, and record what its files say if only a worker could read them."""
    found = context.dictionaries.find(dictionary)
    if dictionary.digest is None:
        with context.database.unit_of_work() as session:
            row = session.get_one(Dictionary, dictionary.id, with_for_update={"key_share": True})
            if row.digest is None:
                row.digest, row.architecture = found.digest, found.architecture
                row.d_in, row.d_sae = found.d_in, found.d_sae
                return found
        return context.dictionaries.find(row)
    return found


def _no_op(evaluation: Evaluation, baseline: SnapshotNeed, batches: BatchPlan) -> SnapshotNeed:
    """The control's snapshot: the evaluation's own, so that it is computed now and never reused."""
    shard = control_batches(batches)
    inputs = baseline.inputs | {
        "purpose": "no_op",
        "evaluation": str(evaluation.id),
        "batches": list(shard),
    }
    return SnapshotNeed(
        role="no_op",
        key=snapshot_key(inputs),
        checkpoint_id=baseline.checkpoint_id,
        inputs=inputs,
        plan=baseline.plan,
        shards=[shard],
    )


def _vanished(context: Context, keys: list[str]) -> set[str]:
    """Complete snapshots whose manifest is no longer in the store, or unreadable."""
    with context.database.unit_of_work() as session:
        complete = session.scalars(
            select(Snapshot.key).where(Snapshot.key.in_(keys), Snapshot.state == "complete")
        ).all()
    vanished = set()
    for key in complete:
        try:
            SnapshotReader(context.store, key)
        except EvaluationError:
            vanished.add(key)
    return vanished
