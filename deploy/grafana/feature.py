"""Feature: one feature's history over checkpoints, with intervals and margin."""

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery, CustomVariable
from grafana_foundation_sdk.models.dashboard import VariableOption

from deploy.grafana import feature_graphs as graphs
from deploy.grafana import feature_sql as sql
from deploy.grafana import feature_tables as details
from deploy.grafana import model_line_sql
from deploy.grafana.layout import (
    FEATURE,
    MODEL_LINE,
    Section,
    dashboard,
    line_link,
    page_link,
    sql_variable,
)
from deploy.grafana.model_line import REPAIRS
from deploy.grafana.panels import Stat, stat
from deploy.grafana.queries import POSTGRES, rows
from deploy.grafana.words import DIAGNOSES, VERDICTS, coloured, yes_no


def build(api_url: str) -> str:
    """The dashboard's JSON."""
    return dashboard(
        FEATURE,
        "One feature over the checkpoints of its model: what was found, how sure that is, why it "
        "drifted, and what is proposed. Points stand where a checkpoint was registered.",
        [
            Section("On the newest checkpoint", _stats()),
            Section(
                "History",
                [
                    graphs.verdicts(),
                    graphs.margins(),
                    graphs.estimate(),
                    graphs.score(),
                    graphs.auroc(),
                    graphs.trend(),
                ],
            ),
            Section("Why, and what to do", [details.diagnoses(), details.repairs()]),
            Section(
                "Can the numbers be trusted?",
                [graphs.firing(), graphs.documents(), details.controls()],
            ),
            Section("Every checkpoint", [details.history()]),
        ],
        api_url=api_url,
        variables=[
            sql_variable("model", "Model", "A line of checkpoints.", model_line_sql.MODELS),
            sql_variable("monitor", "Monitor", "What is watched.", model_line_sql.MONITORS),
            _comparison(),
            sql_variable(
                "feature",
                "Feature",
                "A feature of the newest evaluation, drifted ones first; other names can be typed.",
                sql.FEATURES,
            ).allow_custom_value(True),
            sql_variable(
                "estimand",
                "Estimand",
                "What to show the estimate of; first the one that leads the verdict.",
                sql.ESTIMANDS,
            ),
        ],
        annotations=[
            AnnotationQuery()
            .name("Checkpoints")
            .datasource(POSTGRES)
            .enable(True)
            .icon_color("blue")
            .target(rows(model_line_sql.CHECKPOINTS))
        ],
        links=[
            line_link("Model line", MODEL_LINE),
            page_link("Proposed repairs", REPAIRS),
        ],
        since="now-90d",
        refresh="5m",
    )


def _comparison() -> CustomVariable:
    options = [
        VariableOption(selected=not position, text=text, value=value)
        for position, (text, value) in enumerate(
            (("with the pinned baseline", "baseline"), ("with the checkpoint before", "previous"))
        )
    ]
    return (
        CustomVariable("comparison")
        .label("Compared")
        .description("Cumulative drift, or the last step.")
        .values("with the pinned baseline : baseline,with the checkpoint before : previous")
        .options(options)
        .current(options[0])
    )


def _stats() -> list[Stat]:
    return [
        stat(
            "Verdict",
            "stable and drifted are proven, within or beyond the margin. inconclusive and "
            "insufficient want more documents; untrusted and invalid say that a control failed or "
            "that the dictionary no longer fits.",
            rows(sql.NEWEST),
            field="verdict",
            mappings=[coloured(VERDICTS)],
            no_value="not evaluated",
        ),
        stat(
            "Diagnosis",
            "Why it drifted. rescaled, rotated and relocated can be repaired: see the proposals "
            "below. lost: nothing reads it any more; retire it or retrain. none: it did not drift.",
            rows(sql.NEWEST),
            field="diagnosis",
            mappings=[coloured(DIAGNOSES)],
        ),
        stat(
            "Wakes someone",
            "Whether its simultaneous interval lies beyond a margin, at the level that the "
            "false-page budget gave the evaluation.",
            rows(sql.NEWEST),
            field="paged",
            mappings=[yes_no("yes")],
        ),
        stat(
            "Drift score",
            "0 is the noise floor, 1 no better than a randomised model. None where the "
            "randomised-model control did not run.",
            rows(sql.NEWEST),
            field="drift_score",
            steps=((None, "green"), (0.25, "yellow"), (0.5, "red")),
        ),
        stat(
            "Earns its keep",
            "Whether it reads its concept better than the simplest read-outs of the same site. no: "
            "replace it by the simpler one.",
            rows(sql.NEWEST),
            field="earns_keep",
        ),
        stat(
            "Causal",
            "Whether ablating and steering it moves what the model says. correlational: do not "
            "steer by it.",
            rows(sql.NEWEST),
            field="causal",
        ),
    ]
