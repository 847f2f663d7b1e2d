"""/evaluations/{evaluation}: how far it is, what it found, and where that leads."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.alerts.repository import views as alert_views
from app.core.clock import now
from app.core.dependencies import AppArtifacts, AppDatabase
from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.evaluations.ledger import OPEN
from app.evaluations.repository import EvaluationView
from app.evaluations.service import find_view, present
from app.registry.definitions import Name
from app.repairs.repository import list_views as repair_views
from app.reports import routes as reports
from app.reports.routes import Form
from app.reports.words import CONTROLS
from app.verdicts.repository import (
    VerdictFilter,
    VerdictPosition,
    list_verdicts,
    verdict_counts,
)
from app.verdicts.schemas import Comparison, Diagnosis, VerdictName
from app.web.headers import COMMON
from app.web.progress import Progress, progress_of
from app.web.rendering import page, page_links
from app.web.repository import alert_ids_of, pace_of
from app.web.session import PageSession
from app.web.standing import VERDICTS, counts_of

ALERTS, REPAIRS = 50, 5
_PAGED = {None: (), True: ("those that wake someone",), False: ("those that wake nobody",)}

router = APIRouter(prefix="/evaluations", include_in_schema=False)


@router.get("/{evaluation}")
def show_evaluation(
    request: Request,
    evaluation: UUID,
    session: PageSession,
    # The form's first choice, all verdicts, is empty.
    verdict: Annotated[list[VerdictName | Literal[""]], Query(max_length=6)] = [],  # noqa: B006
    feature: Annotated[list[Name], Query(max_length=100)] = [],  # noqa: B006
    diagnosis: Annotated[list[Diagnosis], Query(max_length=6)] = [],  # noqa: B006
    paged: bool | None = None,
    comparison: Comparison = "baseline",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """An evaluation: live while it is open, then its verdicts."""
    view = find_view(session, evaluation)
    out = present(view)
    chosen = [word for word in verdict if word]
    rows = list_verdicts(
        session,
        evaluation,
        VerdictFilter(
            verdicts=chosen,
            features=feature,
            diagnoses=diagnosis,
            paged=paged,
            comparison=comparison,
        ),
        sort="effect",
        after=decode_cursor(cursor, VerdictPosition),
        limit=limit,
    )
    verdicts, following = make_page(
        rows, limit, lambda row: VerdictPosition(row[1], row[0].feature, row[0].comparison)
    )
    repairs = repair_views(
        session, monitor=None, evaluation=evaluation, state=None, after=None, limit=REPAIRS
    )
    comparisons = (out.summary or {}).get("comparisons") or {}
    counted = verdict_counts(session, [evaluation])
    counts = {
        side: counts_of(comparisons, side) or counted.get((evaluation, side), {})
        for side in ("baseline", "previous")
    }
    return page(
        request,
        "evaluation.html.j2",
        title=f"Evaluation of {out.checkpoint}",
        evaluation=out,
        is_open=out.state in OPEN,
        progress=_progress(session, view),
        counts=counts,
        notes=[str(note) for note in (comparisons.get(comparison) or {}).get("notes") or ()],
        verdicts=[row for row, _ in verdicts],
        chosen=chosen,
        only=[*chosen, *feature, *diagnosis, *_PAGED[paged]],
        comparison=comparison,
        alerts=alert_views(session, alert_ids_of(session, evaluation, ALERTS)),
        repairs=repairs[:REPAIRS],
        meaning_of_controls=CONTROLS,
        order=VERDICTS,
        **page_links(request, cursor, following),
    )


@router.get("/{evaluation}/report")
def show_report(
    evaluation: UUID, database: AppDatabase, artifacts: AppArtifacts, form: Form = "html"
) -> Response:
    """The report, for whoever has signed in: `?form=md` and `?form=json` give the other forms."""
    made = {
        "html": reports.get_report_html,
        "md": reports.get_report_markdown,
        "json": reports.get_report_json,
    }[form](evaluation, database, artifacts, None)
    for name, value in COMMON.items():
        made.headers.setdefault(name, value)
    made.headers["Cache-Control"] = "no-store"
    return made


def _progress(session: PageSession, view: EvaluationView) -> Progress:
    evaluation = view.evaluation
    pace = pace_of(session, evaluation.id, evaluation.started_at)
    return progress_of(
        state=evaluation.state,
        step=evaluation.step,
        done=view.work.done,
        total=view.work.total,
        finished=pace.finished,
        started_at=pace.since,
        ended_at=evaluation.finished_at,
        moment=now(),
    )
