"""Tables of the model-line dashboard, with links to features and into the API."""

from collections.abc import Mapping

from deploy.grafana import model_line_sql as sql
from deploy.grafana import tables
from deploy.grafana.layout import FEATURE, cell, dashboard_url
from deploy.grafana.panels import Table, table
from deploy.grafana.queries import column, rows
from deploy.grafana.words import DIAGNOSES, STATES, VERDICTS, coloured, yes_no

WHO = 'model="$model", monitor="$monitor"'
FEATURE_URL = dashboard_url(
    FEATURE,
    model="${model:percentencode}",
    monitor="${monitor:percentencode}",
    feature=cell("Feature"),
)
EVALUATION_URL = f"${{api}}/evaluations/{cell('evaluation')}"
OUTCOMES = {"held": "green", "failed": "red", "not told": "#8e8e8e"}
ALERT_WORDS = {"page": "red", "warning": "yellow", "open": "red", "acknowledged": "yellow"}


def watchlist() -> Table:
    """Watched features now."""
    panel = table(
        "Watchlist",
        "Each watched feature in the newest evaluation, against the pinned baseline. Follow the "
        "feature's name to its history. AUROC says how well it still separates its concept's "
        "tokens: 0.5 is chance.",
        column(
            f"max by (feature, verdict) (featuredrift_feature_verdict{{{WHO}}} == 1)",
        ),
        column(f"max by (feature) (featuredrift_feature_drift_score{{{WHO}}})"),
        column(f"max by (feature) (featuredrift_feature_concept_auroc{{{WHO}}})"),
        column(f"max by (feature) (featuredrift_feature_firing_ratio{{{WHO}}})"),
        column(f"max by (feature) (featuredrift_feature_paged{{{WHO}}})"),
        column(f"max by (feature) (featuredrift_feature_slow_drift{{{WHO}}})"),
        span=12,
        no_value="",
    )
    panel = tables.merged(
        panel,
        {
            "feature": "Feature",
            "verdict": "Verdict",
            "Value #B": "Drift score",
            "Value #C": "AUROC",
            "Value #D": "Fires at",
            "Value #E": "Wakes",
            "Value #F": "Slow drift",
        },
        hidden=("Value #A",),
    )
    panel = tables.link(panel, "Feature", "The feature's history", FEATURE_URL)
    panel = tables.colour_by_word(panel, "Verdict", coloured(VERDICTS))
    panel = tables.unit(panel, "Fires at", "percentunit", 2)
    panel = tables.unit(panel, "Drift score", "short", 2)
    panel = tables.unit(panel, "AUROC", "short", 3)
    for name in ("Wakes", "Slow drift"):
        panel = tables.colour_by_word(panel, name, yes_no("yes"))
    return panel


def drifted() -> Table:
    """What is not stable on the newest checkpoint."""
    panel = table(
        "Not stable on the newest checkpoint",
        "Features of the newest evaluation that are not stable, the ones to wake for first, then "
        "by effect in margins: beyond 1 is beyond what the policy lets pass. The diagnosis says "
        "why; rotated and rescaled can be repaired, lost cannot. At most 100 rows.",
        rows(sql.DRIFTED),
        span=12,
    )
    panel = _renamed(
        panel,
        {
            "feature": "Feature",
            "verdict": "Verdict",
            "change": "Change",
            "diagnosis": "Diagnosis",
            "margins": "Margins",
            "drift_score": "Drift score",
            "paged": "Wakes",
            "slow_drift": "Slow drift",
            "reason": "Reason",
        },
    )
    panel = tables.link(panel, "Feature", "The feature's history", FEATURE_URL)
    panel = tables.colour_by_word(panel, "Verdict", coloured(VERDICTS))
    panel = tables.colour_by_word(panel, "Diagnosis", coloured(DIAGNOSES))
    for name in ("Wakes", "Slow drift"):
        panel = tables.colour_by_word(panel, name, yes_no("yes"))
    panel = tables.unit(panel, "Margins", "short", 1)
    panel = tables.unit(panel, "Drift score", "short", 2)
    return _evaluation_link(panel)


def controls() -> Table:
    """What the controls said of each checkpoint."""
    panel = table(
        "Controls",
        "Each control of each checkpoint's evaluation. A failed no_op control: trust no verdict of "
        "that evaluation, look for nondeterminism in the worker. The others make single features "
        "untrusted; the detail says which and why.",
        rows(sql.CONTROLS),
        height=8,
    )
    panel = _renamed(
        panel,
        {
            "checkpoint": "Checkpoint",
            "control": "Control",
            "outcome": "Outcome",
            "detail": "Detail",
        },
    )
    panel = tables.colour_by_word(panel, "Outcome", coloured(OUTCOMES))
    return _evaluation_link(panel)


def alerts() -> Table:
    """Unresolved alerts."""
    panel = table(
        "Unresolved alerts",
        "What is wrong and not yet over. Acknowledge through the alert's link, so that others see "
        "that somebody is on it. An alert ends by itself once its subject is shown to be stable.",
        rows(sql.ALERTS),
        height=8,
        no_value="Nothing is wrong.",
    )
    panel = _renamed(
        panel,
        {
            "severity": "Severity",
            "state": "State",
            "about": "About",
            "subject": "Subject",
            "condition": "Condition",
            "detail": "Detail",
            "occurrences": "Evaluations",
            "opened": "Opened",
            "acknowledged": "Acknowledged by",
            "alert": "Alert",
        },
    )
    for name in ("Severity", "State"):
        panel = tables.colour_by_word(panel, name, coloured(ALERT_WORDS))
    panel = tables.unit(panel, "Opened", "dateTimeFromNow")
    panel = tables.link(panel, "Alert", "The alert", f"${{api}}/alerts/{cell('Alert')}", away=True)
    return _evaluation_link(panel)


def evaluations() -> Table:
    """The newest evaluations, whatever became of them."""
    panel = table(
        "Evaluations",
        "The newest evaluations. A failed one says why; mend that and POST "
        "/v1/evaluations/{id}:retry. The evaluation's link shows its progress and summary, the "
        "checkpoint's link the gate's reasons.",
        rows(sql.EVALUATIONS),
    )
    panel = _renamed(
        panel,
        {
            "checkpoint": "Checkpoint",
            "baseline": "Against",
            "state": "State",
            "accepted": "Accepted",
            "took": "Took",
            "error": "Error",
        },
    )
    panel = tables.colour_by_word(panel, "State", coloured(STATES))
    panel = tables.unit(panel, "Took", "s")
    gate = f"${{api}}/models/${{model:percentencode}}/checkpoints/{cell('Checkpoint')}"
    panel = tables.link(panel, "Checkpoint", "The gate's reasons", gate, away=True)
    return _evaluation_link(panel)


def _renamed(panel: Table, names: Mapping[str, str]) -> Table:
    """Headings for the columns; the column `evaluation`, an id for links, comes last."""
    return tables.renamed(panel, {**names, "evaluation": "evaluation"})


def _evaluation_link(panel: Table) -> Table:
    return tables.link(panel, "evaluation", "The evaluation", EVALUATION_URL, away=True)
