"""Columns of tables: names, units, colours, links."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    ValueMap,
)

from deploy.grafana.panels import Steps


def merged(panel: Table, names: Mapping[str, str], hidden: Sequence[str] = ()) -> Table:
    """One row for each set of labels, from several queries.

    Args:
        names: field, such as `model` or `Value #B`, → the column's heading, in the order shown.
        hidden: further fields that the queries bring.
    """
    return panel.with_transformation(
        DataTransformerConfig(id_val="merge", options={})
    ).with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": dict.fromkeys(("Time", *hidden), True),
                "indexByName": {field: position for position, field in enumerate(names)},
                "renameByName": dict(names),
            },
        )
    )


def renamed(panel: Table, names: Mapping[str, str]) -> Table:
    """Headings for the columns of one query, in the order shown."""
    return panel.with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {},
                "indexByName": {field: position for position, field in enumerate(names)},
                "renameByName": dict(names),
            },
        )
    )


def unit(panel: Table, column: str, unit: str, decimals: int | None = None) -> Table:
    """A column's unit."""
    values = [DynamicConfigValue("unit", unit)]
    if decimals is not None:
        values.append(DynamicConfigValue("decimals", decimals))
    return panel.override_by_name(column, values)


def colour_by_value(panel: Table, column: str, steps: Steps) -> Table:
    """Colour a column's text by thresholds."""
    return panel.override_by_name(
        column,
        [
            DynamicConfigValue(
                "thresholds",
                {
                    "mode": "absolute",
                    "steps": [{"value": value, "color": colour} for value, colour in steps],
                },
            ),
            DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
        ],
    )


def colour_by_word(panel: Table, column: str, mapping: ValueMap) -> Table:
    """Colour a column's text by the words in it."""
    return panel.override_by_name(
        column,
        [
            DynamicConfigValue("mappings", [mapping]),
            DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
        ],
    )


def wide(panel: Table, column: str, width: int) -> Table:
    """A column's width in pixels."""
    return panel.override_by_name(column, [DynamicConfigValue("custom.width", width)])


def link(panel: Table, column: str, title: str, url: str, *, away: bool = False) -> Table:
    """Make a column's cells links; `url` may use `${__data.fields["…"]}`."""
    target = {"title": title, "url": url, "targetBlank": away}
    return panel.override_by_name(column, [DynamicConfigValue("links", [target])])
