"""The last step of an evaluation: controls, both comparisons, and all results at once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.alerts.service import follow
from app.core import telemetry
from app.core.digests import canonical_json
from app.core.faults import fault_point
from app.evaluations import ledger
from app.evaluations.ledger import OPEN, Claim, StaleAttempt
from app.evaluations.tables import Evaluation
from app.monitors import page_budget
from app.repairs.writing import replace_proposal
from app.sources.dictionary import CONFIG_FILE, WEIGHTS_FILE
from app.verdicts.writing import finite_json, replace_results
from app.webhooks.finished import emit_finished
from workers.comparison import ComparisonResult, CorpusLabels, compare_snapshots, write_parquet
from workers.drift.pages import PageRequest
from workers.pipeline.artifacts import hold_files
from workers.pipeline.case import SIDES, Case, numeric_policy, provenance, read_case
from workers.pipeline.context import Context
from workers.pipeline.controls import ControlEvidence, control_evidence
from workers.pipeline.corpus import labels_of
from workers.pipeline.diagnosis import Findings, diagnose_drifted
from workers.pipeline.effects import causal_effects
from workers.pipeline.history import slow_drifts
from workers.pipeline.lease import Lease
from workers.pipeline.results import (
    Evidence,
    comparison_summary,
    health_rows,
    verdict_rows,
)

DICTIONARY_FILES = (CONFIG_FILE, WEIGHTS_FILE)
SHOWN_FEATURES = 200
"""Features of a comparison whose passages are kept: a watchlist is no longer."""


def compare(context: Context, claim: Claim, lease: Lease) -> None:
    """Judge every feature against the pinned baseline and against the previous checkpoint.

    Raises:
        EvaluationError: a snapshot is missing or damaged.
        StaleAttempt: the claim is lost.
    """
    with context.database.unit_of_work() as session:
        case = read_case(session, context.store, claim)
    share = context.settle(lambda session: _page_share(session, case))
    tokenizers = {reader.manifest.inputs["tokenizer_digest"] for reader in case.readers.values()}
    labels = labels_of(context, case.corpus, with_texts=len(tokenizers) > 1)
    with telemetry.span("controls"):
        controls = control_evidence(context, case, labels, lease)
    with telemetry.span("judge") as span:
        results = _results(case, labels, controls, share, lease)
        judged = results["baseline"]
        span.set(featuredrift__features=len(judged.verdicts), featuredrift__tokens=judged.tokens)
    causal = causal_effects(context, case, labels)
    with telemetry.span("diagnose"):
        findings = diagnose_drifted(context, case, labels, results["baseline"], controls, lease)
    with context.database.unit_of_work() as session:
        trends = slow_drifts(session, case, results)
    rows: list[dict[str, Any]] = []
    summaries: dict[str, dict[str, Any]] = {}
    for side, result in results.items():
        context.store.write_bytes(
            f"evaluations/{case.evaluation.id}/{side}.passages.json",
            canonical_json(result.passages),
        )
        if case.question.target.whole is not None:
            artifact = f"evaluations/{case.evaluation.id}/{side}.parquet"
            context.store.write_bytes(artifact, write_parquet(result.verdicts))
        pinned = side == "baseline"
        evidence = Evidence(
            controls=controls,
            causal=causal,
            trends=trends if pinned else {},
            findings=findings if pinned else Findings(),
        )
        rows.extend(verdict_rows(side, result, case, evidence))
        summaries[side] = comparison_summary(result, case, evidence)
        lease.check()
    fault_point("before-finish", claim.kind)

    proposed = [one.artifact for one in (findings.proposal or {}).get("dictionaries", ())]

    def finish(session: Session) -> None:
        # Before any row is locked, as the collector does it: the store may take its time to answer.
        # Looked at under the artifacts' locks, which hold to the end, or they could vanish after.
        hold_files(
            session,
            context.store,
            [f"{artifact}/{file}" for artifact in proposed for file in DICTIONARY_FILES],
        )
        evaluation = ledger.lock_evaluation(session, case.evaluation.id)
        if evaluation.state not in OPEN:
            raise StaleAttempt(f"evaluation {evaluation.id} is {evaluation.state}")
        ledger.finish(session, claim)
        replace_results(
            session,
            evaluation.id,
            verdicts=rows,
            controls=controls.rows(),
            health=[
                row
                for role in ("baseline", "candidate", "previous")
                if role in case.readers
                for row in health_rows(role, case.readers[role])
            ],
        )
        if findings.proposal is not None:
            replace_proposal(session, evaluation.id, **findings.proposal)
        fault_point("after-copy")
        evaluation.state, evaluation.step, evaluation.error = "succeeded", "done", None
        evaluation.summary = finite_json(_summary(case, summaries, controls, findings))
        evaluation.finished_at = session.scalar(select(func.clock_timestamp()))
        follow(session, evaluation.id)
        emit_finished(session, [evaluation.id])

    context.settle(finish)


def _page_share(session: Session, case: Case) -> float:
    """What this evaluation may spend of the false-page budget; taken once, however often tried."""
    evaluation = session.get_one(Evaluation, case.evaluation.id)
    return page_budget.reserve(session, evaluation, case.question.policy).alpha


def _results(
    case: Case, labels: CorpusLabels, controls: ControlEvidence, alpha: float, lease: Lease
) -> dict[str, ComparisonResult]:
    """Both comparisons; pages are about the pinned baseline alone."""
    question = case.question
    whole = question.target.whole is not None
    by_key: dict[str, ComparisonResult] = {}
    results: dict[str, ComparisonResult] = {}
    for side in SIDES:
        if side not in case.readers:
            continue
        key = case.key(side)
        if key not in by_key:
            # Nothing is left to spend where a budget was cut below what is spent already.
            pages = None
            if side == "baseline" and alpha > 0:
                pages = PageRequest(features=question.watchlist if whole else None, alpha=alpha)
            by_key[key] = compare_snapshots(
                case.readers[side],
                case.readers["candidate"],
                labels,
                numeric_policy(question.policy, controls.floor),
                concepts=question.target.concepts,
                dictionaries=question.target.dictionaries_of(case.names),
                blocked=controls.blocked(case.names),
                pages=pages,
                shown=SHOWN_FEATURES,
                watchlist=question.watchlist,
            )
            lease.check()
        # A step from the very baseline would page twice for one change.
        found = by_key[key]
        results[side] = found if side == "baseline" else replace(found, pages=None)
    return results


def _summary(
    case: Case,
    summaries: Mapping[str, dict[str, Any]],
    controls: ControlEvidence,
    findings: Findings,
) -> dict[str, Any]:
    return {
        # Why there is no step comparison, if plan or capture has found so.
        **(case.evaluation.summary or {}),
        "comparisons": dict(summaries),
        "noise_floor": controls.floor_json(),
        "diagnosis": findings.note,
        **provenance(case),
    }
