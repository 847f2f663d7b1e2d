"""An evaluation's report in three forms, and the schema of its JSON form."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Response

from app.core.artifacts import ArtifactStore
from app.core.database import Database
from app.core.dependencies import AppArtifacts, AppDatabase
from app.core.digests import sha256_bytes
from app.core.errors import FeaturedriftError
from app.core.problems import PROBLEM_RESPONSES
from app.evaluations.service import find_state
from app.reports.examples import EXAMPLE
from app.reports.html import content_security_policy, render_html
from app.reports.json import json_schema, render_json
from app.reports.kept import kept
from app.reports.markdown import render_markdown
from app.reports.model import SCHEMA_VERSION, Report
from app.reports.view import build_report, is_lasting

Form = Literal["json", "md", "html"]

MEDIA_TYPES: Mapping[Form, str] = MappingProxyType(
    {"json": "application/json", "md": "text/markdown", "html": "text/html"}
)
_RENDERERS: Mapping[Form, Callable[[Report], bytes]] = MappingProxyType(
    {"json": render_json, "md": render_markdown, "html": render_html}
)
_MARKDOWN = f"# {EXAMPLE['headline']['sentence']}\n"
_HTML = f"<!doctype html><title>{EXAMPLE['headline']['sentence']}</title>"
_CONTENTS: Mapping[Form, dict[str, Any]] = MappingProxyType(
    {
        "json": {"example": EXAMPLE},
        "md": {"schema": {"type": "string"}, "example": _MARKDOWN},
        "html": {"schema": {"type": "string"}, "example": _HTML},
    }
)

Accept = Annotated[str | None, Header(max_length=2000)]
IfNoneMatch = Annotated[
    str | None,
    Header(max_length=4000, description="The `ETag` of the report that you have"),
]

router = APIRouter(tags=["reports"], responses=PROBLEM_RESPONSES)


class NotAcceptableError(FeaturedriftError):
    """None of the forms that there are is wanted."""

    status, code, title = 406, "not_acceptable", "Not acceptable"


def _responses(*forms: Form) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPES[form]: _CONTENTS[form] for form in forms}
    description = "The report; `ETag` is the digest of its bytes"
    answer: dict[str, Any] = {"description": description, "content": content}
    if "json" in forms:
        answer["model"] = Report
    return {200: answer, 304: {"description": "You have this very report"}}


@router.get(
    "/evaluations/{evaluation}/report",
    response_class=Response,
    responses=_responses("json", "md", "html"),
)
def get_report(
    evaluation: UUID,
    database: AppDatabase,
    artifacts: AppArtifacts,
    accept: Accept = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The report of an evaluation in the form that `Accept` prefers; JSON if it has no preference.

    The same evaluation gives the same bytes: it is what the evaluation found, and not what was
    decided or done since.
    """
    form = preferred(accept)
    answer = _answer(evaluation, form, database, artifacts, if_none_match)
    answer.headers["Vary"] = "Accept"
    return answer


@router.get(
    "/evaluations/{evaluation}/report.json",
    response_class=Response,
    responses=_responses("json"),
)
def get_report_json(
    evaluation: UUID,
    database: AppDatabase,
    artifacts: AppArtifacts,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The report as JSON, by the schema `/v1/schemas/report-1.json`."""
    return _answer(evaluation, "json", database, artifacts, if_none_match)


@router.get(
    "/evaluations/{evaluation}/report.md", response_class=Response, responses=_responses("md")
)
def get_report_markdown(
    evaluation: UUID,
    database: AppDatabase,
    artifacts: AppArtifacts,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The report as Markdown."""
    return _answer(evaluation, "md", database, artifacts, if_none_match)


@router.get(
    "/evaluations/{evaluation}/report.html", response_class=Response, responses=_responses("html")
)
def get_report_html(
    evaluation: UUID,
    database: AppDatabase,
    artifacts: AppArtifacts,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The report as one file for a browser or a printer: no script, no request to anywhere."""
    return _answer(evaluation, "html", database, artifacts, if_none_match)


@router.get(
    f"/schemas/report-{SCHEMA_VERSION}.json",
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {
                        "$schema": "https://json-schema.org/draft/2020-12/schema",
                        "title": "Report",
                        "type": "object",
                    }
                }
            }
        }
    },
)
def get_report_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a report's JSON form. Version 1 only ever gains fields."""
    return json_schema()


def preferred(accept: str | None) -> Form:
    """The form that an `Accept` header prefers (RFC 9110, 12.5.1); JSON where it is all the same.

    Raises:
        NotAcceptableError: it takes none of them.
    """
    if accept is None or not accept.strip():
        return "json"
    wanted = [_range(part) for part in accept.split(",") if part.strip()]
    best: tuple[float, int, Form] | None = None
    for place, (form, media_type) in enumerate(MEDIA_TYPES.items()):
        matching = [
            (exact, quality) for kind, quality in wanted if (exact := _exact(kind, media_type))
        ]
        quality = max(matching)[1] if matching else 0.0
        if quality > 0 and (best is None or (quality, -place) > best[:2]):
            best = (quality, -place, form)
    if best is None:
        raise NotAcceptableError(
            f"a report is {', '.join(MEDIA_TYPES.values())}; accept one of them, or ask for "
            "report.json, report.md or report.html",
            field="Accept",
            value=accept,
        )
    return best[2]


def _range(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = min(1.0, max(0.0, float(value)))
            except ValueError:
                quality = 0.0
    return kind, quality if quality == quality else 0.0


def _exact(kind: str, media_type: str) -> int:
    """How exactly a media range names a type: 3 itself, 2 its family, 1 any; 0 not at all."""
    if kind == media_type:
        return 3
    if kind == f"{media_type.partition('/')[0]}/*":
        return 2
    return 1 if kind == "*/*" else 0


def _answer(
    evaluation: UUID,
    form: Form,
    database: Database,
    artifacts: ArtifactStore,
    if_none_match: str | None,
) -> Response:
    content = _content(evaluation, form, database, artifacts)
    tag = f'"{sha256_bytes(content)}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Content-Disposition": f'inline; filename="report-{evaluation}.{form}"',
    }
    if form == "html":
        headers["Content-Security-Policy"] = f"{content_security_policy()}; frame-ancestors 'none'"
    if if_none_match is not None and _names(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    suffix = "" if form == "json" else "; charset=utf-8"
    return Response(content, media_type=f"{MEDIA_TYPES[form]}{suffix}", headers=headers)


def _content(evaluation: UUID, form: Form, database: Database, artifacts: ArtifactStore) -> bytes:
    with database.unit_of_work() as session:
        # Whether there is one for whoever asks is the database's to say, not the store's.
        state = find_state(session, evaluation)

    def render() -> tuple[bytes, bool]:
        with database.unit_of_work() as session:
            report = build_report(session, artifacts, evaluation)
        return _RENDERERS[form](report), is_lasting(report)

    return kept(artifacts, evaluation, form, render) if state == "succeeded" else render()[0]


def _names(if_none_match: str, tag: str) -> bool:
    """Whether the header names the tag; weakly, as RFC 9110 has it for this header."""
    tags = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in tags or tag in tags
