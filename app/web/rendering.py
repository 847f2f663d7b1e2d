"""From a template and values to a page, with everything that each page has."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.access.principals import LOCAL, Principal
from app.charts import Chart
from app.reports import words
from app.reports.text import visible
from app.web import formats
from app.web.csrf import FIELD, FormToken
from app.web.headers import PAGE
from app.web.static_files import static_path


@dataclass(frozen=True)
class Destination:
    """An entry of the navigation."""

    path: str
    label: str
    scope: str = "read"


NAVIGATION = (
    Destination("/", "Overview"),
    Destination("/models", "Models"),
    Destination("/alerts", "Alerts"),
    Destination("/repairs", "Repairs"),
    Destination("/corpora", "Corpora"),
    Destination("/dictionaries", "Dictionaries"),
    Destination("/audit", "Audit trail", "admin"),
)


def page(
    request: Request, template: str, *, title: str, status: int = 200, **values: Any
) -> Response:
    """A page: the template with its values, who looks at it, the navigation, and all headers.

    Args:
        template: a file of `app/web/templates` that extends `base.html.j2`.
        title: what the window and the page's first heading say.
        values: what the template shows; everything is escaped.
    """
    found = getattr(request.state, "principal", None)
    principal = found if isinstance(found, Principal) else None
    token = FormToken(request)
    text = (
        templates()
        .get_template(template)
        .render(
            title=title,
            principal=principal,
            signed_in=principal is not None and principal != LOCAL,
            path=request.url.path,
            navigation=_navigation(principal, request.url.path),
            form_token=token,
            **values,
        )
    )
    response = HTMLResponse(text, status_code=status, headers=dict(PAGE))
    token.keep(response)
    return response


def page_links(request: Request, cursor: str | None, following: str | None) -> dict[str, Any]:
    """`first_page` and `next_page` of a list, as the macro `ui.pages` takes them; filters stay."""
    return {
        "first_page": address_with(request, cursor=None) if cursor else None,
        "next_page": address_with(request, cursor=following) if following else None,
    }


def address_with(request: Request, **changes: str | None) -> str:
    """This page's address with some of its query's parameters changed; None takes one out."""
    url = request.url
    for name, value in changes.items():
        url = (
            url.remove_query_params(name)
            if value is None
            else url.include_query_params(**{name: value})
        )
    return f"{url.path}?{url.query}" if url.query else url.path


@lru_cache(maxsize=1)
def templates() -> Environment:
    """The templates' environment: all values escaped, unknown names refused."""
    environment = Environment(
        loader=PackageLoader("app.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.globals.update(
        csrf_field=_csrf_field,
        static=static_path,
        count=words.count,
        quantity=words.quantity,
        interval=words.interval,
        scale_of=words.scale_of,
        meanings=words.ESTIMANDS,
        diagnoses=words.DIAGNOSES,
        sign_of=formats.sign_of,
    )
    environment.filters.update(
        number=words.number,
        percent=words.percent,
        probability=words.probability,
        plain=lambda word: str(word).replace("_", " "),
        drawing=_drawing,
        moment=formats.moment,
        machine_moment=formats.machine_moment,
        ago=formats.ago,
        duration=formats.duration,
    )
    environment.tests["told"] = lambda value: value is not None
    return environment


def _navigation(principal: Principal | None, path: str) -> list[tuple[Destination, bool]]:
    if principal is None:
        return []
    return [
        (entry, path == entry.path or (entry.path != "/" and path.startswith(f"{entry.path}/")))
        for entry in NAVIGATION
        if entry.scope in principal.scopes
    ]


@pass_context
def _csrf_field(context: Context) -> Markup:
    token: FormToken = context["form_token"]
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token.value)


def _drawing(chart: Chart) -> Markup:
    return Markup(chart.svg)  # noqa: S704 - drawn and escaped by our charts


def _shown(value: Any) -> Any:
    """Every value on its way into the page: what hides or turns text is named, not obeyed."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value
