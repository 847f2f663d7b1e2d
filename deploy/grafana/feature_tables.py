"""Tables of the feature dashboard, with links into the API."""

from deploy.grafana import feature_sql as sql
from deploy.grafana import tables
from deploy.grafana.layout import cell
from deploy.grafana.model_line_tables import EVALUATION_URL, OUTCOMES
from deploy.grafana.panels import Table, table
from deploy.grafana.queries import rows
from deploy.grafana.words import DIAGNOSES, VERDICTS, coloured, yes_no

PASSAGES_URL = EVALUATION_URL + "/report"
REPAIR_STATES = {"proposed": "yellow", "accepted": "green", "rejected": "#8e8e8e"}


def diagnoses() -> Table:
    """What shows the diagnosis."""
    panel = table(
        "What the diagnosis rests on",
        "What was found when it was asked why the feature drifted, checkpoint by checkpoint. "
        "Read what the diagnosis rests on, and the passages that it links to, before accepting a "
        "repair. Empty while it is stable.",
        rows(sql.DIAGNOSES),
        span=14,
        no_value="It has not drifted.",
    )
    panel = tables.renamed(
        panel,
        {
            "checkpoint": "Checkpoint",
            "diagnosis": "Diagnosis",
            "shown_by": "Shown by",
            "evidence": "Evidence",
            "evaluation": "evaluation",
        },
    )
    panel = tables.colour_by_word(panel, "Diagnosis", coloured(DIAGNOSES))
    panel = tables.link(
        panel, "Diagnosis", "Passages where it changed most", PASSAGES_URL, away=True
    )
    return _evaluation_link(panel)


def repairs() -> Table:
    """What is proposed to watch instead."""
    panel = table(
        "Repairs",
        "Proposed new definitions of this feature. The repair's link leads to the old and the new "
        "one with held-out figures, and to the buttons that accept or reject it. None applies "
        "itself.",
        rows(sql.REPAIRS),
        span=10,
        no_value="Nothing is proposed.",
    )
    panel = tables.renamed(
        panel,
        {
            "checkpoint": "Checkpoint",
            "state": "State",
            "diagnosis": "Diagnosis",
            "reason": "Reason",
            "decided_by": "Decided by",
            "repair": "Repair",
        },
    )
    panel = tables.colour_by_word(panel, "State", coloured(REPAIR_STATES))
    return tables.link(
        panel, "Repair", "The repair", f"${{api}}/repairs/{cell('Repair')}", away=True
    )


def controls() -> Table:
    """What each control said of this feature."""
    panel = table(
        "Controls of this feature",
        "What each control said of this feature. One that failed makes it untrusted: the detail "
        "says what a feature without meaning would have shown as well.",
        rows(sql.CONTROLS),
        height=8,
        no_value="No control has been asked of it.",
    )
    panel = tables.renamed(
        panel,
        {
            "checkpoint": "Checkpoint",
            "control": "Control",
            "outcome": "Outcome",
            "detail": "Detail",
            "evaluation": "evaluation",
        },
    )
    panel = tables.colour_by_word(panel, "Outcome", coloured(OUTCOMES))
    return _evaluation_link(panel)


def history() -> Table:
    """All numbers of each checkpoint."""
    panel = table(
        "History",
        "All that a verdict says, newest checkpoint first. The reason is one sentence; the "
        "verdict leads to the passages where the feature changed most, the evaluation to "
        "everything else it found. At most 200 checkpoints.",
        rows(sql.TABLE),
        height=11,
    )
    panel = tables.renamed(
        panel,
        {
            "checkpoint": "Checkpoint",
            "registered": "Registered",
            "verdict": "Verdict",
            "change": "Change",
            "diagnosis": "Diagnosis",
            "estimand": "Estimand",
            "effect": "Effect",
            "lower": "At least",
            "upper": "At most",
            "margin": "Margin",
            "margin_source": "Margin from",
            "drift_score": "Drift score",
            "paged": "Wakes",
            "slow_drift": "Slow drift",
            "reason": "Reason",
            "evaluation": "evaluation",
        },
    )
    for name in ("Effect", "At least", "At most", "Margin", "Drift score"):
        panel = tables.unit(panel, name, "short", 3)
    panel = tables.unit(panel, "Registered", "dateTimeAsIso")
    panel = tables.colour_by_word(panel, "Verdict", coloured(VERDICTS))
    panel = tables.colour_by_word(panel, "Diagnosis", coloured(DIAGNOSES))
    for name in ("Wakes", "Slow drift"):
        panel = tables.colour_by_word(panel, name, yes_no("yes"))
    panel = tables.link(panel, "Verdict", "Passages where it changed most", PASSAGES_URL, away=True)
    return _evaluation_link(panel)


def _evaluation_link(panel: Table) -> Table:
    return tables.link(panel, "evaluation", "The evaluation", EVALUATION_URL, away=True)
