"""Tables of the service dashboard."""

from deploy.grafana import service_sql as sql
from deploy.grafana import tables
from deploy.grafana.layout import MODEL_LINE, cell, dashboard_url
from deploy.grafana.model_line_tables import EVALUATION_URL
from deploy.grafana.panels import NEVER_GOOD, Table, table
from deploy.grafana.queries import rows


def leases() -> Table:
    """Shards under work."""
    panel = table(
        "Leases",
        "Pieces of work under way, with the time left on each lease; workers renew theirs every "
        "few seconds. Below 0 the worker is gone, and the dispatcher gives the piece to another. "
        "A high attempt says that the same piece has ended workers before: read their logs.",
        rows(sql.LEASES),
        span=14,
        no_value="Nothing is being worked on.",
    )
    panel = tables.renamed(
        panel,
        {
            "kind": "Kind",
            "for": "For",
            "worker": "Worker",
            "attempt": "Attempt",
            "running_for": "Running for",
            "lease_left": "Lease left",
            "shard": "Shard",
        },
    )
    for name in ("Running for", "Lease left"):
        panel = tables.unit(panel, name, "s", 0)
    panel = tables.colour_by_value(panel, "Attempt", ((None, "text"), (2, "yellow"), (3, "red")))
    return tables.colour_by_value(panel, "Lease left", ((None, "red"), (0, "yellow"), (10, "text")))


def workers() -> Table:
    """Who has worked."""
    panel = table(
        "Workers",
        "Worker processes that have claimed work in this time range, by when they were last seen. "
        "Work in the queue and nobody seen lately: no worker runs, or none reaches Redis.",
        rows(sql.WORKERS),
        span=10,
        no_value="No worker has claimed any work in this time range.",
    )
    panel = tables.renamed(
        panel,
        {
            "worker": "Worker",
            "running": "Running",
            "succeeded": "Done",
            "failed": "Failed",
            "last_seen": "Last seen",
        },
    )
    panel = tables.unit(panel, "Last seen", "dateTimeFromNow")
    return tables.colour_by_value(panel, "Failed", NEVER_GOOD)


def failed() -> Table:
    """Evaluations that failed."""
    panel = table(
        "Failed evaluations",
        "Evaluations that failed in this time range, with the reason. Mend it, then POST "
        "/v1/evaluations/{id}:retry.",
        rows(sql.FAILED),
        height=8,
        no_value="None has failed in this time range.",
    )
    panel = tables.renamed(
        panel,
        {
            "ended": "Ended",
            "model": "Model",
            "monitor": "Monitor",
            "checkpoint": "Checkpoint",
            "code": "Code",
            "detail": "Detail",
            "evaluation": "evaluation",
        },
    )
    panel = tables.unit(panel, "Ended", "dateTimeFromNow")
    panel = tables.link(panel, "evaluation", "The evaluation", EVALUATION_URL, away=True)
    line = dashboard_url(MODEL_LINE, model=cell("Model"), monitor=cell("Monitor"))
    return tables.link(panel, "Monitor", "Model line", line)
