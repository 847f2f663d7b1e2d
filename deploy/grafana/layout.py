"""A dashboard from rows of panels, with its variables, links and ids."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    ConstantVariable,
    CustomVariable,
    Dashboard,
    DashboardLink,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableRefresh,
    VariableSort,
)

from deploy.grafana.panels import AnyPanel
from deploy.grafana.queries import POSTGRES, PROMETHEUS

API_URL = "http://127.0.0.1:8321"
"""Where people reach the API, unless the command says otherwise."""
FLEET, MODEL_LINE, FEATURE, SERVICE = (
    f"featuredrift-{name}" for name in ("fleet", "model-line", "feature", "service")
)
TITLES = {
    FLEET: "Featuredrift: fleet",
    MODEL_LINE: "Featuredrift: model line",
    FEATURE: "Featuredrift: feature",
    SERVICE: "Featuredrift: service",
}


@dataclass(frozen=True)
class Section:
    """A titled row of panels."""

    title: str
    panels: Sequence[AnyPanel]


def dashboard(
    uid: str,
    description: str,
    sections: Sequence[Section],
    *,
    api_url: str,
    variables: Sequence[QueryVariable | CustomVariable] = (),
    annotations: Sequence[AnnotationQuery] = (),
    links: Sequence[DashboardLink] = (),
    since: str,
    refresh: str,
) -> str:
    """A dashboard's JSON, as provisioned.

    Args:
        uid: one of `TITLES`; every dashboard links to the others by tag.
        api_url: base of links into the API.
        since: how far back it looks at first, such as `now-90d`.
    """
    builder = (
        Dashboard(TITLES[uid])
        .uid(uid)
        .description(description)
        .tags(["featuredrift"])
        .time(since, "now")
        .refresh(refresh)
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    for link in (
        DashboardLink("Featuredrift dashboards")
        .type(DashboardLinkType.DASHBOARDS)
        .tags(["featuredrift"])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True),
        *links,
    ):
        builder = builder.link(link)
    for variable in variables:
        builder = builder.with_variable(variable)
    builder = builder.with_variable(
        ConstantVariable("api").description("Base URL of the API.").value(api_url)
    )
    for annotation in annotations:
        builder = builder.annotation(annotation)
    for section in sections:
        builder = builder.with_row(Row(section.title))
        for panel in section.panels:
            builder = builder.with_panel(panel)
    built = builder.build()
    for number, placed in enumerate(built.panels or (), start=1):
        placed.id_val = number
    return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def label_variable(name: str, label: str, query: str) -> QueryVariable:
    """A variable over the values of a Prometheus label: one, some or all."""
    return (
        QueryVariable(name)
        .label(label)
        .datasource(PROMETHEUS)
        .query({"query": query, "refId": f"variable-{name}", "qryType": 1})
        .definition(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def sql_variable(name: str, label: str, description: str, sql: str) -> QueryVariable:
    """A variable over the first column of some rows: exactly one value."""
    query = " ".join(sql.split())
    return (
        QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(POSTGRES)
        .query(query)
        .definition(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(False)
        .include_all(False)
    )


def page_link(title: str, path: str) -> DashboardLink:
    """A link at the top of a dashboard to a page of the service."""
    return (
        DashboardLink(title).type(DashboardLinkType.LINK).url(f"${{api}}{path}").target_blank(True)
    )


def line_link(title: str, uid: str) -> DashboardLink:
    """A link at the top of a dashboard to another, with the same variables and time range."""
    return (
        DashboardLink(title)
        .type(DashboardLinkType.LINK)
        .url(f"/d/{uid}")
        .include_vars(True)
        .keep_time(True)
    )


def dashboard_url(uid: str, **variables: str) -> str:
    """The path of a dashboard with variables set, within the same time range.

    Relative to Grafana's root, which it prepends itself where it is served under a path.
    """
    chosen = "&".join(f"var-{name}={value}" for name, value in variables.items())
    return f"/d/{uid}?{chosen}{'&' if chosen else ''}${{__url_time_range}}"


def cell(column: str) -> str:
    """The value of another column of the same row, for a link."""
    return f'${{__data.fields["{column}"]:percentencode}}'
