"""Which snapshots an evaluation needs: its sides, and the controls on its baseline.

What determines a snapshot's content is its key, so that the controls on a baseline are captured
once, whichever evaluations ask for them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.evaluations.snapshots import SnapshotNeed
from workers.capture.batches import BatchPlan, partition, plan_batches
from workers.capture.checkpoints import ResolvedCheckpoint
from workers.capture.numerics import detect_numerics
from workers.capture.tokenization import TokenizedCorpus
from workers.causal.settings import CausalSettings
from workers.controls.no_op import control_batches
from workers.controls.numerics import null_variants
from workers.errors import EvaluationError
from workers.numerics import Numerics
from workers.pipeline.context import Context
from workers.pipeline.corpus import tokens_of
from workers.pipeline.lease import Lease
from workers.pipeline.question import (
    Question,
    SideUnusableError,
    blaming,
    find_dictionary,
    resolve,
)
from workers.pipeline.targets import feature_plan
from workers.snapshots import snapshot_key

RANDOM_SCOPES = {"random_top": "top", "random_blocks": "blocks", "random_all": "all"}


@dataclass(frozen=True)
class _Side:
    """One checkpoint of the question, ready to be captured."""

    role: str
    checkpoint_id: UUID
    resolved: ResolvedCheckpoint
    numerics: Numerics
    tokens: TokenizedCorpus
    batches: BatchPlan
    inputs: dict[str, Any]
    plan: dict[str, Any]


def snapshot_needs(
    context: Context, question: Question, lease: Lease, *, last_attempt: bool = False
) -> list[SnapshotNeed]:
    """All snapshots of an evaluation.

    Args:
        last_attempt: an optional side that cannot be read now is given up.

    Raises:
        EvaluationError: a checkpoint, dictionary or feature does not fit.
        SideUnusableError: an optional side cannot be captured.
    """
    resolved: dict[UUID, ResolvedCheckpoint] = {}
    for role, checkpoint in question.checkpoints.items():
        lease.check()
        if checkpoint.id not in resolved:
            with blaming(role, last_attempt=last_attempt):
                resolved[checkpoint.id] = resolve(context, checkpoint)
    lease.check()
    _check_benign(question, resolved)
    # Benign checkpoints must fit the others: a short context of theirs cuts nobody's documents.
    context_lengths = [
        resolved[checkpoint.id].context_length
        for role, checkpoint in question.checkpoints.items()
        if not role.startswith("benign:")
    ]
    sequence_length = min(context.settings.sequence_length, *context_lengths)
    common = _common_inputs(context, question, sequence_length)
    needs: list[SnapshotNeed] = []
    for role, checkpoint in question.checkpoints.items():
        lease.check()
        with blaming(role, last_attempt=last_attempt):
            side = _side(context, question, role, resolved[checkpoint.id], common)
        needs.append(_capture(context, side, role, side.inputs, side.batches))
        if role == "baseline":
            needs.append(_no_op(question, side))
            needs.extend(_controls(context, question, side))
        if role in ("baseline", "candidate"):
            needs.extend(_causal(question, side))
    return needs


def _check_benign(question: Question, resolved: Mapping[UUID, ResolvedCheckpoint]) -> None:
    """Refuse a benign checkpoint that is the candidate under another name.

    Raises:
        SideUnusableError: its weights are the candidate's.
    """
    candidate = resolved[question.checkpoints["candidate"].id]
    for role, checkpoint in question.checkpoints.items():
        same = resolved[checkpoint.id].weights_digest == candidate.weights_digest
        if role.startswith("benign:") and same:
            raise SideUnusableError(
                role,
                f"checkpoint {checkpoint.name!r}, marked benign, has the candidate's own weights; "
                "a candidate never sets the noise that it is judged by",
            )


def _common_inputs(context: Context, question: Question, sequence_length: int) -> dict[str, Any]:
    dictionaries = {d.name: find_dictionary(context, d) for d in question.target.dictionaries}
    # Refuses features that do not fit their dictionaries before any model is loaded.
    feature_plan(question.target, dictionaries)
    inputs: dict[str, Any] = {
        "corpus_digest": question.corpus.digest,
        "features_digest": question.target.digest(dictionaries),
        "dictionaries": {name: source.digest for name, source in dictionaries.items()},
        "sequence_length": sequence_length,
        "batch_tokens": context.settings.batch_tokens,
        "purpose": "features",
    }
    if question.policy.activation_tokens:
        inputs["activations"] = {"tokens": question.policy.activation_tokens}
    return inputs


def _side(
    context: Context,
    question: Question,
    role: str,
    resolved: ResolvedCheckpoint,
    common: Mapping[str, Any],
) -> _Side:
    settings = context.settings
    tokens_key, tokens = tokens_of(context, question.corpus, resolved, common["sequence_length"])
    numerics = detect_numerics(
        settings.dtype, settings.attn_implementation, settings.device, settings.threads, resolved
    )
    return _Side(
        role=role,
        checkpoint_id=question.checkpoints[role].id,
        resolved=resolved,
        numerics=numerics,
        tokens=tokens,
        batches=plan_batches(tokens.lengths, settings.batch_tokens),
        inputs={
            **common,
            "weights_digest": resolved.weights_digest,
            "config_digest": resolved.config_digest,
            "tokenizer_digest": resolved.tokenizer_digest,
            "numerics": numerics.to_json(),
        },
        plan={"tokens_key": tokens_key, "target": question.target.reference},
    )


def _capture(
    context: Context, side: _Side, role: str, inputs: dict[str, Any], batches: BatchPlan
) -> SnapshotNeed:
    return SnapshotNeed(
        role=role,
        key=snapshot_key(inputs),
        checkpoint_id=side.checkpoint_id,
        inputs=inputs,
        plan=side.plan,
        shards=partition(batches, context.settings.tokens_per_shard),
    )


def _no_op(question: Question, side: _Side) -> SnapshotNeed:
    """The control's snapshot: the evaluation's own, so that it is computed now and never reused."""
    shard = control_batches(side.batches)
    inputs = _without_activations(side.inputs) | {
        "purpose": "no_op",
        "evaluation": str(question.evaluation.id),
        "batches": list(shard),
    }
    return SnapshotNeed(
        role="no_op",
        key=snapshot_key(inputs),
        checkpoint_id=side.checkpoint_id,
        inputs=inputs,
        plan=side.plan,
        shards=[shard],
    )


def _controls(context: Context, question: Question, side: _Side) -> Iterator[SnapshotNeed]:
    """The captures of the controls: randomised models, and updates that change nothing."""
    policy = question.policy.controls
    if policy.randomised_model:
        for role, scope in RANDOM_SCOPES.items():
            inputs = side.inputs | {
                "purpose": "randomised",
                "randomisation": {"scope": scope, "seed": policy.seed},
            }
            # What a random model's activations still tell is what a diagnosis must beat.
            if scope != "all":
                inputs = _without_activations(inputs)
            yield _capture(context, side, role, inputs, side.batches)
    if policy.numerics:
        variants = null_variants(side.numerics, side.inputs["batch_tokens"], side.resolved)
        for role, (numerics, batch_tokens) in variants.items():
            inputs = _without_activations(side.inputs) | {
                "purpose": "numerics",
                "numerics": numerics.to_json(),
                "batch_tokens": batch_tokens,
            }
            batches = plan_batches(side.tokens.lengths, batch_tokens)
            yield _capture(context, side, role, inputs, batches)


def _causal(question: Question, side: _Side) -> Iterator[SnapshotNeed]:
    """What the asked features do to a model's predictions."""
    policy = question.policy.causal
    names = causal_features(question)
    if not names:
        return
    settings = CausalSettings(
        tokens=policy.tokens,
        random_directions=policy.random_directions,
        strength=policy.strength,
        seed=question.policy.controls.seed,
    )
    inputs = _without_activations(side.inputs) | {
        "purpose": "causal",
        "causal": {
            "features": names,
            **settings.to_json(),
        },
    }
    yield SnapshotNeed(
        role=f"causal_{side.role}",
        key=snapshot_key(inputs),
        checkpoint_id=side.checkpoint_id,
        inputs=inputs,
        plan=side.plan,
        shards=[(0, 1)],
    )


def causal_features(question: Question) -> list[str]:
    """The features whose causal effect the policy asks for, in the order of the set.

    Raises:
        EvaluationError: the policy names a feature that the set does not have.
    """
    asked = question.policy.causal.features
    if asked == "none" or question.target.whole is not None:
        return []
    known = [feature.name for feature in question.target.features]
    wanted = question.watchlist if asked == "watchlist" else asked
    if asked != "watchlist" and (unknown := sorted(set(wanted) - set(known))):
        raise EvaluationError(
            "causal_feature_unknown",
            f"the policy asks for the causal effect of {', '.join(map(repr, unknown))}, which the "
            "feature set does not have; PATCH the monitor's policy",
        )
    return [name for name in known if name in set(wanted)]


def _without_activations(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if name != "activations"}
