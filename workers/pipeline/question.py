"""What an evaluation asks, as the registry has it, and its checkpoints resolved."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.evaluations.ledger import StaleAttempt
from app.evaluations.snapshots import is_optional
from app.evaluations.tables import Evaluation
from app.monitors.policy import DriftPolicy
from app.monitors.tables import Monitor
from app.registry.repository.models import benign_checkpoints
from app.registry.tables import Checkpoint, Corpus, Dictionary
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.errors import EvaluationError
from workers.features.dictionaries import DictionarySource
from workers.pipeline.context import Context
from workers.pipeline.targets import Target, load_target


@dataclass(frozen=True)
class Question:
    """What an evaluation asks."""

    evaluation: Evaluation
    corpus: Corpus
    target: Target
    policy: DriftPolicy
    watchlist: tuple[str, ...]
    checkpoints: Mapping[str, Checkpoint]
    """By role: candidate, baseline, previous where there is one, and the benign ones."""

    def without(self, role: str) -> "Question":
        """The same without one optional side."""
        kept = {name: one for name, one in self.checkpoints.items() if name != role}
        return replace(self, checkpoints=kept)


class SideUnusableError(Exception):
    """An optional side cannot be captured."""

    def __init__(self, role: str, detail: str) -> None:
        super().__init__(detail)
        self.role = role
        self.detail = detail


@contextmanager
def blaming(role: str, *, last_attempt: bool = False) -> Iterator[None]:
    """What goes wrong inside is the fault of one side.

    Args:
        last_attempt: what may pass by itself has not passed: an optional side is given up, rather
            than the evaluation with it.

    Raises:
        SideUnusableError: the side is an optional one.
        EvaluationError: it is not.
    """
    try:
        yield
    except EvaluationError as error:
        if is_optional(role):
            raise SideUnusableError(role, error.detail) from error
        raise
    except (StaleAttempt, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        if last_attempt and is_optional(role):
            detail = f"it could not be read, in the last attempt either: {type(error).__name__}"
            raise SideUnusableError(role, f"{detail}: {error}") from error
        raise


def read_question(session: Session, evaluation: Evaluation) -> Question:
    """The question of an evaluation."""
    checkpoints = {
        "candidate": session.get_one(Checkpoint, evaluation.checkpoint_id),
        "baseline": session.get_one(Checkpoint, evaluation.baseline_checkpoint_id),
    }
    if evaluation.previous_checkpoint_id is not None:
        checkpoints["previous"] = session.get_one(Checkpoint, evaluation.previous_checkpoint_id)
    monitor = session.get_one(Monitor, evaluation.monitor_id)
    # A candidate never sets the noise that it is judged by, whatever somebody marked it as.
    judged = {evaluation.checkpoint_id, evaluation.baseline_checkpoint_id}
    benign = benign_checkpoints(session, monitor.model_id, exclude=judged)
    checkpoints |= {f"benign:{number}": one for number, one in enumerate(benign, start=1)}
    return Question(
        evaluation=evaluation,
        corpus=session.get_one(Corpus, evaluation.corpus_id),
        target=load_target(session, evaluation),
        policy=DriftPolicy.model_validate(evaluation.policy),
        watchlist=tuple(monitor.watchlist),
        checkpoints=checkpoints,
    )


def resolve(context: Context, checkpoint: Checkpoint) -> ResolvedCheckpoint:
    """Resolve a checkpoint, and record its digests if this is the first time.

    Raises:
        EvaluationError: it is missing, broken, or not what it was.
    """
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


def find_dictionary(context: Context, dictionary: Dictionary) -> DictionarySource:
    """Find a dictionary, and record what its files say if only a worker could read them.

    Raises:
        EvaluationError: it is missing, damaged, or not what it was.
    """
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
