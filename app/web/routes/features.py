"""/features/{feature}: a feature's history, its evidence at each checkpoint."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.core.paging import Cursor, Limit, decode_cursor, make_page
from app.monitors.repository import get_monitor
from app.registry.definitions import NAME_PATTERN
from app.registry.service.feature_sets import find_feature
from app.verdicts.histories import HistoryPosition, feature_history, feature_series
from app.verdicts.schemas import Comparison
from app.web.charts import draw_series
from app.web.rendering import page, page_links
from app.web.repository import versions_of
from app.web.session import PageSession

POINTS = 200
_LONGEST = 12
"""A vector of a definition is shown by its first numbers."""

router = APIRouter(prefix="/features", include_in_schema=False)


@router.get("/{feature}")
def show_feature(
    request: Request,
    feature: UUID,
    session: PageSession,
    monitor: Annotated[str | None, Query(pattern=NAME_PATTERN)] = None,
    comparison: Comparison = "baseline",
    cursor: Cursor = None,
    limit: Limit = 25,
) -> Response:
    """A feature: what it is, its effects over checkpoints, and what each verdict rests on."""
    row, number, feature_set = find_feature(session, feature)
    series = feature_series(
        session, feature, monitor=monitor, comparison="baseline", after=None, limit=POINTS
    )[:POINTS]
    lines = feature_history(
        session,
        feature,
        monitor=monitor,
        comparison=comparison,
        after=decode_cursor(cursor, HistoryPosition),
        limit=limit,
    )
    history, following = make_page(
        lines,
        limit,
        lambda line: HistoryPosition(line.verdict.evaluation_id, line.verdict.comparison),
    )
    return page(
        request,
        "feature.html.j2",
        title=f"Feature {row.name}",
        feature=row,
        feature_set=feature_set,
        number=number,
        definition=_shown(row.definition),
        versions=versions_of(session, feature),
        newest=series[0] if series else None,
        watched=get_monitor(session, series[0].monitor) if series else None,
        picture=draw_series(series),
        history=history,
        monitor=monitor,
        comparison=comparison,
        **page_links(request, cursor, following),
    )


def _shown(definition: Mapping[str, Any]) -> dict[str, str]:
    """What a definition says beside its name and kind; of a long vector its length."""
    shown = {}
    for name, value in definition.items():
        if name in {"name", "kind", "concept"} or value is None:
            continue
        if isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
            first = ", ".join(f"{one:.4g}" for one in value[:_LONGEST])
            rest = f", … ({len(value)} numbers)" if len(value) > _LONGEST else ""
            shown[name] = f"{first}{rest}"
        elif isinstance(value, list):
            shown[name] = ", ".join(_plain(one) for one in value)
        else:
            shown[name] = _plain(value)
    return shown


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    return str(value)
