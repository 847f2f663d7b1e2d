"""Panels with what all of them share: a width, a height, a description, units, colours."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import stat as stats
from grafana_foundation_sdk.builders import statetimeline, timeseries
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
)

from deploy.grafana.queries import POSTGRES, PROMETHEUS, Query, SqlBuilder

Stat = stats.Panel
Table = tables.Panel
Graph = timeseries.Panel
Timeline = statetimeline.Panel
AnyPanel = Stat | Table | Graph | Timeline
P = TypeVar("P", Stat, Table, Graph, Timeline)
Steps = Sequence[tuple[float | None, str]]
"""(from which value on, colour), the first from None."""

NEVER_GOOD: Steps = ((None, "green"), (1, "red"))
"""For counts that should be 0."""


def thresholds(steps: Steps) -> ThresholdsConfig:
    """Colours by value."""
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=colour) for value, colour in steps])
    )


def stat(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    steps: Steps = ((None, "text"),),
    mappings: Sequence[ValueMap] = (),
    field: str | None = None,
    span: int = 4,
    no_value: str = "none",
) -> Stat:
    """One value now; `field` names the column of a table that holds it."""
    reduced = ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    panel = (
        Stat()
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .text_mode(BigValueTextMode.VALUE if field or len(queries) == 1 else BigValueTextMode.AUTO)
        .reduce_options(reduced.fields(f"/^{field}$/") if field else reduced)
        .no_value(no_value)
        .thresholds(thresholds(steps))
        .mappings(list(mappings))
    )
    return _common(panel, title, description, queries, unit, span, 4)


def graph(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    steps: Steps = (),
    span: int = 12,
    height: int = 9,
    low: float | None = None,
    high: float | None = None,
    over_checkpoints: bool = False,
    legend_values: Sequence[str] = ("lastNotNull",),
) -> Graph:
    """Lines over time; over checkpoints, each point stands at its checkpoint's registration."""
    panel = (
        Graph()
        .line_interpolation(
            LineInterpolation.LINEAR if over_checkpoints else LineInterpolation.STEP_AFTER
        )
        .show_points(VisibilityMode.ALWAYS if over_checkpoints else VisibilityMode.NEVER)
        .point_size(6)
        .fill_opacity(0)
        .span_nulls(over_checkpoints)
        .legend(
            VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .calcs(list(legend_values))
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if steps:
        panel = panel.thresholds(thresholds(steps)).thresholds_style(
            GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        )
    if low is not None:
        panel = panel.min(low)
    if high is not None:
        panel = panel.max(high)
    return _common(panel, title, description, queries, unit, span, height)


def bars(panel: Graph) -> Graph:
    """The graph as stacked bars."""
    return (
        panel.draw_style(GraphDrawStyle.BARS)
        .fill_opacity(80)
        .bar_max_width(24)
        .show_points(VisibilityMode.NEVER)
        .stacking(StackingConfig().mode(StackingMode.NORMAL).group("A"))
    )


def interval(panel: Graph, *, middle: str, lower: str, upper: str, colour: str = "blue") -> Graph:
    """Show three of the graph's series as an estimate within its interval."""
    thin = [_fixed(colour), DynamicConfigValue("custom.lineWidth", 0)]
    quiet = DynamicConfigValue("custom.showPoints", VisibilityMode.NEVER)
    filled = [
        DynamicConfigValue("custom.fillBelowTo", lower),
        DynamicConfigValue("custom.fillOpacity", 18),
    ]
    return (
        panel.override_by_name(middle, [_fixed(colour), DynamicConfigValue("custom.lineWidth", 2)])
        .override_by_name(lower, [*thin, quiet])
        .override_by_name(upper, [*thin, quiet, *filled])
    )


def dashed(panel: Graph, *names: str, colour: str = "red") -> Graph:
    """Show some of the graph's series as bounds."""
    style = {"fill": "dash", "dash": [8, 6]}
    for name in names:
        panel = panel.override_by_name(
            name,
            [
                _fixed(colour),
                DynamicConfigValue("custom.lineStyle", style),
                DynamicConfigValue("custom.showPoints", VisibilityMode.NEVER),
            ],
        )
    return panel


def timeline(
    title: str,
    description: str,
    *queries: Query,
    mappings: Sequence[ValueMap],
    span: int = 24,
    height: int = 7,
) -> Timeline:
    """States over time."""
    panel = (
        Timeline()
        .mappings(list(mappings))
        .show_value(VisibilityMode.AUTO)
        .merge_values(False)
        .fill_opacity(75)
        .legend(VizLegendOptions().show_legend(False).display_mode(LegendDisplayMode.LIST))
    )
    return _common(panel, title, description, queries, "short", span, height)


def table(
    title: str,
    description: str,
    *queries: Query,
    span: int = 24,
    height: int = 9,
    no_value: str = "",
) -> Table:
    """Rows; columns get their units and colours from `tables.py`."""
    panel = Table().filterable(True).no_value(no_value)
    return _common(panel, title, description, queries, "short", span, height)


def by_word(panel: P, colours: Mapping[str, str]) -> P:
    """Give series that are named by a word the word's colour."""
    for word, colour in colours.items():
        panel = panel.override_by_name(word, [_fixed(colour)])
    return panel


def _fixed(colour: str) -> DynamicConfigValue:
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def _common(
    panel: P,
    title: str,
    description: str,
    queries: Sequence[Query],
    unit: str,
    span: int,
    height: int,
) -> P:
    source = POSTGRES if isinstance(queries[0], SqlBuilder) else PROMETHEUS
    panel = (
        panel.title(title)
        .description(description)
        .datasource(source)
        .unit(unit)
        .span(span)
        .height(height)
    )
    for ref_id, query in zip(ascii_uppercase, queries, strict=False):
        panel = panel.with_target(query.ref_id(ref_id))
    return panel
