"""Fleet: all models on one page, and which of them needs somebody."""

from grafana_foundation_sdk.models.common import BigValueTextMode

from deploy.grafana import tables
from deploy.grafana.layout import (
    FLEET,
    MODEL_LINE,
    Section,
    cell,
    dashboard,
    dashboard_url,
    label_variable,
    page_link,
)
from deploy.grafana.panels import (
    NEVER_GOOD,
    Stat,
    Table,
    Timeline,
    by_word,
    graph,
    stat,
    table,
    thresholds,
    timeline,
)
from deploy.grafana.queries import column, gate_numbers, now, series
from deploy.grafana.words import GATE_NUMBERS, GATES, coloured, numbered

WHO = 'model=~"$model"'
BASELINE = f'{WHO}, comparison="baseline"'
AGE = "time() - featuredrift_evaluation_last_success_timestamp_seconds"
AGE_STEPS = ((None, "green"), (8 * 86400, "yellow"), (15 * 86400, "red"))
BUDGET_STEPS = ((None, "red"), (0.1, "yellow"), (0.25, "green"))


def build(api_url: str) -> str:
    """The dashboard's JSON."""
    return dashboard(
        FLEET,
        "All watched models: what the gate says, how much has drifted, what is open, and whether "
        "evaluations still come. Begin here; a row of the table leads to its model line.",
        [
            Section("Now", _stats()),
            Section("By monitor", [_monitors()]),
            Section(
                "Over time",
                [
                    _gates(),
                    graph(
                        "Share of drifted features",
                        "Drifted features / features that could be judged, against the pinned "
                        "baseline. A step up that stays is a checkpoint that changed features: "
                        "open its model line and read the diagnosis.",
                        series(
                            f"featuredrift_drifted_features_ratio{{{BASELINE}}}",
                            "{{model}} / {{monitor}}",
                        ),
                        unit="percentunit",
                        low=0,
                    ),
                    graph(
                        "Alerts that nobody has seen the end of",
                        "Alerts of the service by severity, acknowledged ones included. A page "
                        "wants somebody now; warnings want somebody this week.",
                        series(
                            f"sum by (severity, state) (featuredrift_alerts{{{WHO}}})",
                            "{{severity}}, {{state}}",
                        ),
                        low=0,
                    ),
                    graph(
                        "Age of the last success",
                        "Time since an evaluation of the monitor last succeeded. It should fall "
                        "at each checkpoint. One that only grows has no new checkpoints, or "
                        "evaluations that fail: see the model line's list of evaluations.",
                        series(
                            f"{AGE}{{{WHO}}}",
                            "{{model}} / {{monitor}}",
                        ),
                        unit="s",
                        low=0,
                    ),
                    graph(
                        "Page budget left in this quarter",
                        "Share of the calendar quarter's false-page budget that is not spent. Near "
                        "0, only ever larger drifts page: raise planned_checkpoints in the "
                        "monitor's policy for the next quarter.",
                        series(
                            f"featuredrift_page_budget_remaining_ratio{{{WHO}}}",
                            "{{model}} / {{monitor}}",
                        ),
                        unit="percentunit",
                        low=0,
                        high=1,
                    ),
                ],
            ),
        ],
        api_url=api_url,
        variables=[
            label_variable(
                "model",
                "Model",
                "label_values(featuredrift_page_budget_remaining_ratio, model)",
            )
        ],
        links=[page_link("Open alerts", "/alerts?state=open")],
        since="now-7d",
        refresh="1m",
    )


def _stats() -> list[Stat]:
    return [
        stat(
            "Models",
            "Models with an enabled monitor. Fewer than you run: a model has no monitor, or its "
            "monitor is disabled.",
            now(
                f"count(count by (model) (featuredrift_page_budget_remaining_ratio{{{WHO}}}))",
                "models",
            ),
        ),
        by_word(
            stat(
                "Monitors by gate",
                "What each monitor's newest evaluation says of its checkpoint. Anything but pass "
                "is a reason to open the model line; pending is being worked on.",
                now(f"count by (gate) (featuredrift_gate{{{WHO}}} == 1)", "{{gate}}"),
            ).text_mode(BigValueTextMode.VALUE_AND_NAME),
            GATES,
        ),
        stat(
            "Features to wake someone for",
            "Features beyond a margin by simultaneous intervals within the false-page budget, "
            "against the pinned baseline. More than 0: read the diagnosis and decide on the "
            "proposed repair.",
            now(f"sum(featuredrift_paged_features{{{BASELINE}}})", "features"),
            steps=NEVER_GOOD,
        ),
        stat(
            "Open alerts, to page",
            "Alerts of severity page that nobody has acknowledged. Acknowledge in the API, so "
            "that others see that somebody is on it.",
            now(
                f'sum(featuredrift_alerts{{{WHO}, state="open", severity="page"}})',
                "alerts",
            ),
            steps=NEVER_GOOD,
            no_value="0",
        ),
        stat(
            "Longest without a success",
            "The oldest of all monitors' last successes. Longer than checkpoints are apart: an "
            "evaluation fails, or the training job no longer posts.",
            now(f"max({AGE}{{{WHO}}})", "age"),
            unit="s",
            steps=AGE_STEPS,
        ),
        stat(
            "Smallest page budget",
            "The monitor with the least left of this quarter's false-page budget.",
            now(f"min(featuredrift_page_budget_remaining_ratio{{{WHO}}})", "left"),
            unit="percentunit",
            steps=BUDGET_STEPS,
        ),
    ]


def _monitors() -> Table:
    by = "by (model, monitor)"
    panel = table(
        "Monitors",
        "One row a monitor, of its newest succeeded evaluation against the pinned baseline. The "
        "interval says how sure the share is: a wide one wants more probe documents. Follow the "
        "monitor's name to its model line.",
        column(f"max by (model, monitor, gate) (featuredrift_gate{{{WHO}}} == 1)"),
        column(f"max {by} (featuredrift_drifted_features_ratio{{{BASELINE}}})"),
        column(f"max {by} (featuredrift_drifted_features_ratio_lower{{{BASELINE}}})"),
        column(f"max {by} (featuredrift_drifted_features_ratio_upper{{{BASELINE}}})"),
        column(f"max {by} (featuredrift_paged_features{{{BASELINE}}})"),
        column(f"max {by} (featuredrift_slow_drift_features{{{BASELINE}}})"),
        column(f'sum {by} (featuredrift_alerts{{{WHO}, state="open"}})'),
        column(f"max {by} ({AGE}{{{WHO}}})"),
        column(f"max {by} (featuredrift_page_budget_remaining_ratio{{{WHO}}})"),
        column(
            f"max by (model, monitor, checkpoint) (featuredrift_evaluation_info{{{WHO}}})",
        ),
        height=11,
    )
    panel = tables.merged(
        panel,
        {
            "model": "Model",
            "monitor": "Monitor",
            "gate": "Gate",
            "checkpoint": "Checkpoint",
            "Value #B": "Drifted",
            "Value #C": "At least",
            "Value #D": "At most",
            "Value #E": "To wake for",
            "Value #F": "Slow drift",
            "Value #G": "Open alerts",
            "Value #H": "Last success",
            "Value #I": "Page budget",
        },
        hidden=("Value #A", "Value #J"),
    )
    for name in ("Drifted", "At least", "At most", "Page budget"):
        panel = tables.unit(panel, name, "percentunit", 1)
    panel = tables.unit(panel, "Last success", "s", 0)
    panel = tables.colour_by_word(panel, "Gate", coloured(GATES))
    for name in ("To wake for", "Slow drift", "Open alerts"):
        panel = tables.colour_by_value(panel, name, NEVER_GOOD)
    panel = tables.colour_by_value(panel, "Last success", AGE_STEPS)
    panel = tables.colour_by_value(panel, "Page budget", BUDGET_STEPS)
    gate = f"${{api}}/models/{cell('Model')}/checkpoints/{cell('Checkpoint')}"
    panel = tables.link(panel, "Gate", "The gate's reasons", gate, away=True)
    line = dashboard_url(MODEL_LINE, model=cell("Model"), monitor=cell("Monitor"))
    for name in ("Model", "Monitor"):
        panel = tables.link(panel, name, "Model line", line)
    return panel.thresholds(thresholds(((None, "text"),)))


def _gates() -> Timeline:
    return timeline(
        "Gate",
        "What each monitor's newest evaluation said of its checkpoint, over time. Red was not "
        "fit for release.",
        series(
            gate_numbers(WHO),
            "{{model}} / {{monitor}}",
        ),
        mappings=[numbered(GATE_NUMBERS, GATES)],
    )
