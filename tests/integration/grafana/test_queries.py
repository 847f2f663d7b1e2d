"""Every query of every dashboard, on what a real run has left, by the real data sources."""

from collections.abc import Iterator
from math import isnan
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from app.core.clock import now
from tests.integration.grafana.conftest import Line
from tests.integration.grafana.grafana import (
    Asked,
    dashboards,
    everything_asked,
    expected_fields,
    interpolated,
)

ASKED = list(everything_asked())
SQL = [asked for asked in ASKED if "rawSql" in asked.query]
PROMQL = [asked for asked in ASKED if "expr" in asked.query]


def choices(line: Line) -> Iterator[dict[str, str]]:
    """What a reader may have chosen: every part must show something for one of them."""
    for monitor in (line.monitor, line.failing):
        for feature in line.features:
            for estimand in ("identity", "concept", "rate", "strength"):
                yield {
                    "model": line.model,
                    "monitor": monitor,
                    "feature": feature,
                    "comparison": "baseline",
                    "estimand": estimand,
                }


def run(reader: Engine, asked: Asked, values: dict[str, str]) -> tuple[list[str], list[Any]]:
    """The columns and rows of a statement, as Grafana's account sees them."""
    with reader.connect() as connection:
        found = connection.exec_driver_sql(interpolated(asked.text, values).replace("%", "%%"))
        return list(found.keys()), [tuple(row) for row in found]


@pytest.mark.parametrize("asked", SQL, ids=str)
def test_every_statement_returns_data(reader: Engine, line: Line, asked: Asked) -> None:
    filled: set[str] = set()
    columns: list[str] = []
    for values in choices(line):
        columns, rows = run(reader, asked, values)
        assert len(set(columns)) == len(columns)
        for row in rows:
            filled |= {
                name for name, value in zip(columns, row, strict=True) if value not in (None, "")
            }
        if asked.query["format"] == "time_series":
            moments = [row[columns.index("time")] for row in rows]
            assert moments == sorted(moments)
            assert all(moment.tzinfo is not None for moment in moments)
    assert filled == set(columns), f"never a value in {set(columns) - filled}"


GRAFANA_KNOWS = {"bool", "int8", "int4", "text", "varchar", "float8", "numeric", "timestamptz"}
"""Types of columns that its Postgres data source shows as what they are."""


@pytest.mark.parametrize("asked", [asked for asked in SQL if asked.panel], ids=str)
def test_a_panel_speaks_of_columns_that_its_statement_has(
    reader: Engine, line: Line, asked: Asked
) -> None:
    with reader.connect() as connection:
        statement = interpolated(asked.text, next(choices(line))).replace("%", "%%")
        cursor = connection.exec_driver_sql(statement).cursor
        types = {column.name: column.type_display for column in cursor.description}
    assert set(types.values()) <= GRAFANA_KNOWS
    if asked.panel["type"] == "state-timeline":
        assert types["time"] == "timestamptz"
        assert asked.text.rstrip().endswith("ORDER BY time")
    renamed, spoken = expected_fields(asked.panel)
    assert renamed <= set(types)
    numbers = [name for name in types if name != "time"]
    if asked.query["format"] == "time_series" and types.get("metric"):
        # Each value of `metric` names a series: three columns, or Grafana adds the third's name.
        assert len(numbers) == 2
    else:
        assert spoken <= set(types)


@pytest.mark.parametrize("asked", PROMQL, ids=str)
def test_every_expression_returns_data(prometheus: httpx.Client, line: Line, asked: Asked) -> None:
    if asked.text.startswith("label_values("):
        metric, label = asked.text.removeprefix("label_values(").removesuffix(")").split(", ")
        answer = prometheus.get(f"/api/v1/label/{label}/values", params={"match[]": metric})
        assert line.model in answer.json()["data"]
        return
    values = next(choices(line))
    chosen = [values, values | {"model": ".*"}] if "model=~" in asked.text else [values]
    for choice in chosen:
        assert ask(prometheus, asked, interpolated(asked.text, choice)), choice


def ask(prometheus: httpx.Client, asked: Asked, expr: str) -> list[float]:
    """All values that are numbers, at one moment or over the range that the panel asks for."""
    if asked.query.get("range"):
        end = now().timestamp()
        parameters = {"query": expr, "start": end - 10, "end": end, "step": 1}
        answer = prometheus.get("/api/v1/query_range", params=parameters)
    else:
        answer = prometheus.get("/api/v1/query", params={"query": expr})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert not body.get("warnings"), body
    return [
        float(value)
        for series in body["data"]["result"]
        for _, value in series.get("values") or [series["value"]]
        if not isnan(float(value))
    ]


def test_variables_offer_what_there_is(reader: Engine, line: Line) -> None:
    variables = {
        asked.part.removeprefix("variable "): asked
        for asked in SQL
        if asked.part.startswith("variable ")
    }
    values = next(choices(line))
    offered = {
        name: [row[0] for row in run(reader, asked, values)[1]] for name, asked in variables.items()
    }
    assert line.model in offered["model"]
    assert line.monitor in offered["monitor"]
    assert set(line.features) <= set(offered["feature"])
    assert "rate" in offered["estimand"]


def test_points_stand_at_their_checkpoints(reader: Engine, line: Line) -> None:
    """Each of the three judged checkpoints is one point, marked where it was registered."""
    values = next(choices(line))
    (share,) = (a for a in SQL if a.part.startswith("Share of drifted features, with"))
    _, points = run(reader, share, values)
    (marks,) = (
        a for a in SQL if a.part == "annotation Checkpoints" and a.dashboard == share.dashboard
    )
    _, marked = run(reader, marks, values)
    assert len(points) == 3
    assert {row[0] for row in points} <= {row[0] for row in marked}
    assert points[0][1] == 0.0
    assert points[-1][2] <= points[-1][1] <= points[-1][3]


def test_the_drifted_feature_is_told_apart_from_the_start(reader: Engine, line: Line) -> None:
    values = next(choices(line))
    (newest,) = (a for a in SQL if a.dashboard == "featuredrift-feature" and a.part == "Verdict")
    columns, rows = run(reader, newest, values)
    found = dict(zip(columns, rows[0], strict=True))
    assert (found["verdict"], found["diagnosis"]) == ("drifted", "rotated")


def test_a_name_with_a_quote_is_a_name(reader: Engine, line: Line) -> None:
    hostile = dict.fromkeys(next(choices(line)), "x'; DROP TABLE models; --")
    for asked in SQL:
        run(reader, asked, hostile)


def test_the_account_reads_the_dashboards_tables_and_nothing_else(reader: Engine) -> None:
    with reader.connect() as connection:
        readable = set(
            connection.scalars(
                text(
                    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                    "AND relkind = 'r' AND has_table_privilege(oid, 'SELECT')"
                )
            )
        )
        assert connection.scalar(text("SHOW statement_timeout")) == "10s"
    used = {name for name in readable if any(name in asked.text for asked in SQL)}
    assert readable == used
    for statement in ("SELECT * FROM webhooks", "SELECT * FROM features", "DELETE FROM models"):
        with (
            reader.connect() as connection,
            pytest.raises(DBAPIError, match=r"permission|read-only"),
        ):
            connection.execute(text(statement))
    with reader.connect() as connection:
        connection.execute(text("SET default_transaction_read_only = off"))
        connection.commit()
        with pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text("DELETE FROM models"))


def test_all_dashboards_are_asked() -> None:
    assert {asked.dashboard for asked in ASKED} == set(dashboards())
    assert len(SQL) > 30
    assert len(PROMQL) > 40
