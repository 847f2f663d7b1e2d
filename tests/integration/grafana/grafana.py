"""What Grafana does to a query before it sends it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app.core.clock import now

FOLDER = Path(__file__).parents[3] / "deploy" / "grafana" / "dashboards"
_FIELD = re.compile(r'\$\{__data\.fields\["(.+?)"\]:percentencode\}')
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::(\w+))?\}|(\w+))")


@dataclass(frozen=True)
class Asked:
    """One query of one part of a dashboard."""

    dashboard: str
    part: str
    query: Mapping[str, Any]
    panel: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The expression or statement, as written."""
        return str(self.query.get("expr") or self.query.get("rawSql") or self.query.get("query"))

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.part}: {self.query.get('refId', '')}"


def dashboards() -> dict[str, dict[str, Any]]:
    """uid → dashboard, as provisioned."""
    found = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
    return {board["uid"]: board for board in found}


def everything_asked() -> Iterator[Asked]:
    """The queries of all panels, annotations and variables."""
    for uid, board in dashboards().items():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield Asked(uid, panel["title"], target, panel)
        for annotation in board["annotations"].get("list", ()):
            yield Asked(uid, f"annotation {annotation['name']}", annotation["target"])
        for variable in board["templating"]["list"]:
            if variable["type"] != "query":
                continue
            query = variable["query"]
            kind = {"expr": query["query"]} if isinstance(query, dict) else {"rawSql": query}
            yield Asked(uid, f"variable {variable['name']}", {"format": "table", **kind})


def interpolated(text: str, values: Mapping[str, str], *, window: str = "20s") -> str:
    """The text with variables and macros filled in.

    Raises:
        KeyError: a variable without a value.
    """
    begin, end = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in time_range())
    text = _time_filters(text, begin, end)
    text = text.replace("$__rate_interval", window)

    def fill(match: re.Match[str]) -> str:
        name, form = match[1] or match[3], match[2]
        value = values[name]
        if form == "sqlstring":
            quoted = value.replace("'", "''")
            return f"'{quoted}'"
        assert form is None, f"no query uses the format {form}"
        return value.replace("\\", "\\\\").replace('"', '\\"')

    return _VARIABLE.sub(fill, text)


def expected_fields(panel: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """(columns that are renamed, names that are spoken of): what a panel's settings rely on."""
    renamed: dict[str, str] = {}
    for change in panel.get("transformations", ()):
        renamed |= change["options"].get("renameByName", {})
    spoken = {
        rule["matcher"]["options"]
        for rule in panel["fieldConfig"].get("overrides", ())
        if rule["matcher"]["id"] == "byName"
    }
    shown = panel.get("options", {}).get("reduceOptions", {}).get("fields", "")
    if shown:
        spoken.add(shown.removeprefix("/^").removesuffix("$/"))
    back = {heading: column for column, heading in renamed.items()}
    return set(renamed), {back.get(name, name) for name in spoken}


def linked(url: str, values: Mapping[str, str], row: Mapping[str, Any]) -> str:
    """A link as a click on a row's cell follows it.

    Args:
        row: a column's heading → its value.

    Raises:
        KeyError: a variable or a column without a value.
    """
    url = _FIELD.sub(lambda match: quote(str(row[match[1]]), safe=""), url)
    return _VARIABLE.sub(lambda match: quote(values[match[1]], safe=""), url)


def time_range() -> tuple[datetime, datetime]:
    """What the dashboards look at."""
    return now() - timedelta(days=90), now() + timedelta(seconds=1)


def _time_filters(text: str, begin: str, end: str) -> str:
    """`$__timeFilter(column)` as Grafana's Postgres data source writes it."""
    while (start := text.find("$__timeFilter(")) >= 0:
        opened = start + len("$__timeFilter")
        depth, position = 1, opened + 1
        while depth:
            depth += {"(": 1, ")": -1}.get(text[position], 0)
            position += 1
        column = text[opened + 1 : position - 1]
        text = f"{text[:start]}{column} BETWEEN '{begin}' AND '{end}'{text[position:]}"
    return text
