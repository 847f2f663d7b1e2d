"""The last step of an evaluation: control, both comparisons, and all results in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.faults import fault_point
from app.evaluations import ledger
from app.evaluations.ledger import OPEN, Claim, StaleAttempt
from app.evaluations.tables import Evaluation, EvaluationSnapshot, Snapshot
from app.monitors.policy import DriftPolicy
from app.monitors.tables import Monitor
from app.registry.tables import Checkpoint, Corpus
from app.verdicts.writing import finite_json, replace_results
from workers.comparison import (
    ComparisonResult,
    NoOpResult,
    compare_snapshots,
    identical,
    write_parquet,
)
from workers.drift.ladder import Blocked
from workers.drift.policy import Policy
from workers.pipeline.context import Context
from workers.pipeline.corpus import labels_of
from workers.pipeline.lease import Lease
from workers.pipeline.results import comparison_summary, health_rows, verdict_rows
from workers.pipeline.targets import Target, load_target
from workers.snapshots import SnapshotReader

_SIDES = ("baseline", "previous")


@dataclass(frozen=True)
class _Case:
    """What is to be compared, as the ledger has it."""

    evaluation: Evaluation
    target: Target
    corpus: Corpus
    watchlist: frozenset[str]
    checkpoints: Mapping[str, Checkpoint]
    keys: Mapping[str, str]
    """Snapshot key by role."""


def compare(context: Context, claim: Claim, lease: Lease) -> None:
    """Judge every feature against the pinned baseline and against the previous checkpoint.

    Raises:
        EvaluationError: a snapshot is missing or damaged.
        StaleAttempt: the claim is lost.
    """
    with context.database.unit_of_work() as session:
        case = _read(session, claim)
    readers = {role: SnapshotReader(context.store, key) for role, key in case.keys.items()}
    control = _no_op(readers["baseline"], readers["no_op"])
    lease.check()
    results = _results(context, case, readers, control, lease)
    rows: list[dict[str, Any]] = []
    for side, result in results.items():
        if case.target.whole is not None:
            artifact = f"evaluations/{case.evaluation.id}/{side}.parquet"
            context.store.write_bytes(artifact, write_parquet(result.verdicts))
        rows.extend(
            verdict_rows(
                side,
                result.verdicts,
                case.target,
                case.watchlist,
                baseline_key=case.keys[side],
                candidate_key=case.keys["candidate"],
            )
        )
        lease.check()
    fault_point("before-finish")

    def finish(session: Session) -> None:
        evaluation = ledger.lock_evaluation(session, case.evaluation.id)
        if evaluation.state not in OPEN:
            raise StaleAttempt(f"evaluation {evaluation.id} is {evaluation.state}")
        ledger.finish(session, claim)
        replace_results(
            session,
            evaluation.id,
            verdicts=rows,
            controls=[_control_row(control)],
            health=[row for role in case.checkpoints for row in health_rows(role, readers[role])],
        )
        fault_point("after-copy")
        evaluation.state, evaluation.step, evaluation.error = "succeeded", "done", None
        evaluation.summary = finite_json(_summary(case, readers, results))
        evaluation.finished_at = session.scalar(select(func.clock_timestamp()))

    context.settle(finish)


def _read(session: Session, claim: Claim) -> _Case:
    evaluation = session.get_one(Evaluation, claim.evaluation_id)
    links = session.execute(
        select(EvaluationSnapshot.role, Snapshot.key)
        .join(Snapshot, Snapshot.id == EvaluationSnapshot.snapshot_id)
        .where(EvaluationSnapshot.evaluation_id == evaluation.id)
    )
    checkpoints = {
        "candidate": session.get_one(Checkpoint, evaluation.checkpoint_id),
        "baseline": session.get_one(Checkpoint, evaluation.baseline_checkpoint_id),
    }
    keys = {row.role: row.key for row in links}
    if evaluation.previous_checkpoint_id is not None and "previous" in keys:
        checkpoints["previous"] = session.get_one(Checkpoint, evaluation.previous_checkpoint_id)
    return _Case(
        evaluation=evaluation,
        target=load_target(session, evaluation),
        corpus=session.get_one(Corpus, evaluation.corpus_id),
        watchlist=frozenset(session.get_one(Monitor, evaluation.monitor_id).watchlist),
        checkpoints=checkpoints,
        keys=keys,
    )


def _no_op(baseline: SnapshotReader, again: SnapshotReader) -> NoOpResult:
    """Compare the control's capture with the baseline's last tokens, which are the same ones."""
    first = max(baseline.tokens - again.tokens, 0)
    return identical(baseline, again, baseline_range=(first, baseline.tokens))


def _results(
    context: Context,
    case: _Case,
    readers: Mapping[str, SnapshotReader],
    control: NoOpResult,
    lease: Lease,
) -> dict[str, ComparisonResult]:
    tokenizers = {reader.manifest.inputs["tokenizer_digest"] for reader in readers.values()}
    labels = labels_of(context, case.corpus, with_texts=len(tokenizers) > 1)
    columns = readers["baseline"].columns
    names = [column.name for column in (*columns.sparse, *columns.dense)]
    blocked = {}
    if not control.bit_equal:
        blocked = dict.fromkeys(names, Blocked("invalid", _control_detail(control)))
    by_key: dict[str, ComparisonResult] = {}
    results: dict[str, ComparisonResult] = {}
    for side in _SIDES:
        if side not in readers:
            continue
        key = case.keys[side]
        if key not in by_key:
            by_key[key] = compare_snapshots(
                readers[side],
                readers["candidate"],
                labels,
                _policy(case.evaluation.policy),
                concepts=case.target.concepts,
                dictionaries=case.target.dictionaries_of(names),
                blocked=blocked,
            )
            lease.check()
        results[side] = by_key[key]
    return results


def _policy(stored: dict[str, Any]) -> Policy:
    policy = DriftPolicy.model_validate(stored)
    margins = policy.margins
    return Policy(
        rate=margins.rate,
        magnitude=margins.magnitude,
        identity_sparse=margins.identity,
        shift=margins.shift,
        scale=margins.scale,
        identity_dense=margins.identity_dense,
        concept=margins.concept,
        q=policy.q,
        alpha=policy.alpha,
        min_active_documents=policy.min_active_documents,
        fvu_max=policy.fvu_max,
    )


def _control_row(control: NoOpResult) -> dict[str, Any]:
    return {
        "control": "no_op",
        "passed": control.bit_equal,
        "detail": _control_detail(control),
        "figures": {
            "tokens": control.tokens,
            "differing_values": control.differing_values,
            "max_abs_difference": control.max_abs_difference,
        },
    }


def _control_detail(control: NoOpResult) -> str:
    if control.bit_equal:
        return (
            f"The baseline's weights, loaded and captured again, gave the same bits on "
            f"{control.tokens} tokens."
        )
    return (
        f"The no-op control failed: the baseline's weights, loaded and captured again, gave "
        f"{control.differing_values} other values on {control.tokens} tokens (largest difference "
        f"{control.max_abs_difference:.3g}). This worker's numbers are not repeatable, so that no "
        "difference between checkpoints can be trusted."
    )


def _summary(
    case: _Case, readers: Mapping[str, SnapshotReader], results: Mapping[str, ComparisonResult]
) -> dict[str, Any]:
    inputs = readers["baseline"].manifest.inputs
    return {
        # Why there is no step comparison, if plan or capture has found so.
        **(case.evaluation.summary or {}),
        "comparisons": {side: comparison_summary(result) for side, result in results.items()},
        "sides": {
            role: {
                "checkpoint": checkpoint.name,
                "weights_digest": checkpoint.weights_digest,
                "tokenizer_digest": checkpoint.tokenizer_digest,
                "snapshot_key": case.keys[role],
            }
            for role, checkpoint in case.checkpoints.items()
        },
        "corpus_digest": case.corpus.digest,
        "features_digest": inputs["features_digest"],
        "dictionaries": inputs["dictionaries"],
        "numerics": inputs["numerics"],
        "sequence_length": inputs["sequence_length"],
    }
