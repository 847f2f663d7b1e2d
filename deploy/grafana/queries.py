"""Queries of the two data sources that the dashboards read."""

from typing import Literal

from grafana_foundation_sdk.builders.prometheus import Dataquery as PrometheusQuery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.words import GATE_NUMBERS

PROMETHEUS = DataSourceRef(type_val="prometheus", uid="featuredrift-prometheus")
POSTGRES = DataSourceRef(type_val="grafana-postgresql-datasource", uid="featuredrift-postgres")
"""As `provisioning/datasources/featuredrift.yaml` names them."""


class SqlQuery(Dataquery):
    """A query of Grafana's Postgres data source, for which the SDK has no type.

    Args:
        form: `time_series` makes one series of each numeric column, or of each text value beside
            one; `table` leaves rows as they are.
    """

    def __init__(self, sql: str, form: Literal["table", "time_series"], ref_id: str = "A") -> None:
        self.sql = sql
        self.form = form
        self.ref_id = ref_id

    def to_json(self) -> dict[str, object]:
        """The query as Grafana stores it."""
        return {
            "refId": self.ref_id,
            "datasource": POSTGRES,
            "format": self.form,
            "editorMode": "code",
            "rawQuery": True,
            "rawSql": self.sql,
        }


class SqlBuilder(Builder[SqlQuery]):
    """Builds a `SqlQuery`."""

    def __init__(self, sql: str, form: Literal["table", "time_series"]) -> None:
        # Indentation belongs to the source, not to what a reader of the panel sees.
        lines = (line.strip() for line in sql.strip().splitlines())
        self._query = SqlQuery("\n".join(lines), form)

    def ref_id(self, ref_id: str) -> "SqlBuilder":
        """Name the query within its panel."""
        self._query.ref_id = ref_id
        return self

    def build(self) -> SqlQuery:
        """The query."""
        return self._query


Query = PrometheusQuery | SqlBuilder


def rows(sql: str) -> SqlBuilder:
    """Rows for a table, a single value or a state timeline."""
    return SqlBuilder(sql, "table")


def points(sql: str) -> SqlBuilder:
    """Points in time: columns `time`, optionally `metric`, and numbers; in order of time."""
    return SqlBuilder(sql, "time_series")


def series(expr: str, legend: str) -> PrometheusQuery:
    """An expression over the dashboard's time range."""
    return _prometheus(expr).range().legend_format(legend)


def now(expr: str, legend: str = "__auto") -> PrometheusQuery:
    """An expression at the end of the dashboard's time range."""
    return _prometheus(expr).instant().legend_format(legend)


def column(expr: str) -> PrometheusQuery:
    """An expression's value now, as a column beside its labels."""
    return _prometheus(expr).instant().format(PromQueryFormat.TABLE)


def gate_numbers(labels: str) -> str:
    """An expression: the number of the gate that holds, by model and monitor."""
    parts = (
        f'{number} * featuredrift_gate{{{labels}, gate="{gate}"}}'
        for gate, number in GATE_NUMBERS.items()
    )
    return "max by (model, monitor) (\n" + "\nor ".join(parts) + ")"


def _prometheus(expr: str) -> PrometheusQuery:
    lines = (line.strip() for line in expr.strip().splitlines())
    return PrometheusQuery().expr("\n".join(lines)).datasource(PROMETHEUS)
