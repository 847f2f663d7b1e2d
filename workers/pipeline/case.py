"""A case: one evaluation whose snapshots are complete, ready to be judged."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.artifacts import ArtifactStore
from app.evaluations.ledger import Claim
from app.evaluations.tables import Evaluation, EvaluationSnapshot, Snapshot
from app.monitors.policy import DriftPolicy
from app.registry.tables import Checkpoint, Corpus
from workers.drift.policy import Estimand, Floor, Policy
from workers.pipeline.question import Question, read_question
from workers.snapshots import SnapshotReader

SIDES = ("baseline", "previous")


@dataclass(frozen=True)
class Case:
    """What is to be compared, as the ledger has it."""

    question: Question
    snapshots: Mapping[str, Snapshot]
    """By role."""
    readers: Mapping[str, SnapshotReader]
    """By role, of all snapshots that hold feature values."""

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation."""
        return self.question.evaluation

    @property
    def corpus(self) -> Corpus:
        """The probe corpus."""
        return self.question.corpus

    @property
    def checkpoints(self) -> Mapping[str, Checkpoint]:
        """The checkpoints by role, those alone whose snapshots are there."""
        return self.question.checkpoints

    @property
    def names(self) -> tuple[str, ...]:
        """All features in the order of the columns: sparse ones, then dense ones."""
        columns = self.readers["baseline"].columns
        return tuple(column.name for column in (*columns.sparse, *columns.dense))

    @property
    def definition_digests(self) -> dict[str, str]:
        """What each feature was judged as; all latents of a dictionary are as old as it is."""
        target = self.question.target
        if target.whole is not None:
            return dict.fromkeys(self.names, target.whole.digest or "")
        return {feature.name: feature.definition_digest for feature in target.features}

    def key(self, role: str) -> str:
        """The snapshot's key."""
        return self.snapshots[role].key


def read_case(session: Session, store: ArtifactStore, claim: Claim) -> Case:
    """Read what a compare shard is about.

    Raises:
        EvaluationError: a snapshot is missing or damaged.
    """
    evaluation = session.get_one(Evaluation, claim.evaluation_id)
    links = session.execute(
        select(EvaluationSnapshot.role, Snapshot)
        .join(Snapshot, Snapshot.id == EvaluationSnapshot.snapshot_id)
        .where(EvaluationSnapshot.evaluation_id == evaluation.id)
    )
    snapshots = {row.role: row.Snapshot for row in links}
    readers = {
        role: SnapshotReader(store, snapshot.key)
        for role, snapshot in snapshots.items()
        if snapshot.inputs["purpose"] != "causal"
    }
    question = read_question(session, evaluation)
    sides = {role: one for role, one in question.checkpoints.items() if role in snapshots}
    # Marks may have changed since the plan: which checkpoints are benign, its snapshots tell.
    sides |= {
        role: session.get_one(Checkpoint, snapshot.checkpoint_id)
        for role, snapshot in snapshots.items()
        if role.startswith("benign:")
    }
    return Case(replace(question, checkpoints=sides), snapshots, readers)


def numeric_policy(
    policy: DriftPolicy, floor: Mapping[tuple[Estimand, int], Floor] | None = None
) -> Policy:
    """The policy as the statistics take it, with the measured noise floor."""
    margins = policy.margins
    return Policy(
        rate=margins.rate,
        magnitude=margins.magnitude,
        identity_sparse=margins.identity,
        strength=margins.strength,
        shift=margins.shift,
        scale=margins.scale,
        identity_dense=margins.identity_dense,
        concept=margins.concept,
        robustness=margins.robustness,
        q=policy.q,
        alpha=policy.alpha,
        min_active_documents=policy.min_active_documents,
        fvu_max=policy.fvu_max,
        noise_floor=dict(floor or {}),
    )


def provenance(case: Case) -> dict[str, Any]:
    """What went in, by digest: the end of every summary."""
    inputs = case.readers["baseline"].manifest.inputs
    return {
        "sides": {
            role: {
                "checkpoint": checkpoint.name,
                "weights_digest": checkpoint.weights_digest,
                "tokenizer_digest": checkpoint.tokenizer_digest,
                "snapshot_key": case.key(role),
            }
            for role, checkpoint in case.checkpoints.items()
        },
        "snapshots": {role: snapshot.key for role, snapshot in sorted(case.snapshots.items())},
        "corpus_digest": case.corpus.digest,
        "features_digest": inputs["features_digest"],
        "dictionaries": inputs["dictionaries"],
        "numerics": inputs["numerics"],
        "sequence_length": inputs["sequence_length"],
    }
