"""Model line: one monitor of one model over its checkpoints."""

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery
from grafana_foundation_sdk.models.common import BigValueTextMode

from deploy.grafana import model_line_sql as sql
from deploy.grafana import model_line_tables as details
from deploy.grafana.fleet import AGE_STEPS, BUDGET_STEPS
from deploy.grafana.layout import (
    MODEL_LINE,
    Section,
    dashboard,
    page_link,
    sql_variable,
)
from deploy.grafana.panels import (
    NEVER_GOOD,
    Graph,
    Stat,
    bars,
    by_word,
    graph,
    interval,
    stat,
)
from deploy.grafana.queries import POSTGRES, now, points, rows, series
from deploy.grafana.words import GATES, VERDICTS

WHO = 'model="$model", monitor="$monitor"'
BASELINE = f'{WHO}, comparison="baseline"'


MONITOR = "/models/${model:percentencode}/monitors/${monitor:percentencode}"
REPAIRS = "/repairs?monitor=${monitor:percentencode}&state=proposed"


def build(api_url: str) -> str:
    """The dashboard's JSON."""
    return dashboard(
        MODEL_LINE,
        "One monitor over the checkpoints of its model. Points stand where a checkpoint was "
        "registered; the marks name the checkpoints.",
        [
            Section("Now", _stats()),
            Section("Drift over checkpoints", [_share(), _verdicts(), _scores(), _numbers()]),
            Section("Features", [details.watchlist(), details.drifted()]),
            Section("Can the numbers be trusted?", [*_health(), details.controls()]),
            Section("Alerts and evaluations", [details.alerts(), details.evaluations()]),
        ],
        api_url=api_url,
        variables=[
            sql_variable("model", "Model", "A line of checkpoints.", sql.MODELS),
            sql_variable("monitor", "Monitor", "What is watched in it, and how.", sql.MONITORS),
        ],
        annotations=[
            AnnotationQuery()
            .name("Checkpoints")
            .datasource(POSTGRES)
            .enable(True)
            .icon_color("blue")
            .target(rows(sql.CHECKPOINTS))
        ],
        links=[
            page_link("The monitor's page", MONITOR),
            page_link("Proposed repairs", REPAIRS),
        ],
        since="now-90d",
        refresh="1m",
    )


def _stats() -> list[Stat]:
    return [
        by_word(
            stat(
                "Gate",
                "What the newest evaluation says of its checkpoint. fail: features drifted beyond "
                "the policy's share. inconclusive: too much is unproven, or a control failed. The "
                "list of evaluations below leads to the reasons.",
                now(f"featuredrift_gate{{{WHO}}} == 1", "{{gate}}"),
            ).text_mode(BigValueTextMode.NAME),
            GATES,
        ),
        stat(
            "Newest evaluated checkpoint",
            "The checkpoint that all values here are of, unless a panel shows several.",
            rows(sql.NEWEST),
            field="checkpoint",
        ),
        stat(
            "Drifted",
            "Drifted features / features that could be judged, against the pinned baseline.",
            now(f"featuredrift_drifted_features_ratio{{{BASELINE}}}", "drifted"),
            unit="percentunit",
            steps=((None, "green"), (0.000001, "yellow"), (0.1, "red")),
        ),
        stat(
            "Features to wake someone for",
            "Beyond a margin by simultaneous intervals within the false-page budget. More than 0: "
            "open the features in the list below and decide on the proposed repair.",
            now(f"featuredrift_paged_features{{{BASELINE}}}", "features"),
            steps=NEVER_GOOD,
        ),
        stat(
            "Last success",
            "Time since an evaluation last succeeded. If it only grows, see the list of "
            "evaluations for failures, or the training job for checkpoints it no longer posts.",
            now(
                f"time() - featuredrift_evaluation_last_success_timestamp_seconds{{{WHO}}}",
                "age",
            ),
            unit="s",
            steps=AGE_STEPS,
        ),
        stat(
            "Page budget left",
            "Share of this quarter's false-page budget that is not spent. Near 0, only ever "
            "larger drifts page.",
            now(f"featuredrift_page_budget_remaining_ratio{{{WHO}}}", "left"),
            unit="percentunit",
            steps=BUDGET_STEPS,
        ),
    ]


def _share() -> Graph:
    return interval(
        graph(
            "Share of drifted features, with its interval",
            "Drifted / judged features of each checkpoint against the pinned baseline, with the "
            "95% Wilson interval. A step up names the checkpoint to look at; a rise over many "
            "checkpoints says that the baseline grows old.",
            points(sql.SHARE),
            unit="percentunit",
            over_checkpoints=True,
            low=0,
        ),
        middle="drifted",
        lower="at least",
        upper="at most",
    )


def _verdicts() -> Graph:
    return by_word(
        bars(
            graph(
                "Verdicts",
                "Features by verdict for each checkpoint, against the pinned baseline. Much "
                "inconclusive or insufficient wants more probe documents; untrusted and invalid "
                "say that a control failed or the dictionary no longer fits.",
                points(sql.VERDICTS),
                over_checkpoints=True,
            )
        ),
        VERDICTS,
    )


def _scores() -> Graph:
    return graph(
        "Drift score of the features",
        "Quantiles over the features that have a score: 0 is the noise floor, 1 is no better than "
        "a randomised model. The median rising means that the whole set moves; only the highest "
        "quantile rising means single features. Without values where the randomised-model "
        "control is off.",
        series(f"featuredrift_drift_score_quantile{{{BASELINE}}}", "quantile {{q}}"),
        low=0,
        high=1,
    )


def _numbers() -> Graph:
    return graph(
        "Features that page or drift slowly",
        "For each checkpoint: features that someone is woken for, and watched features whose "
        "moving average over checkpoints has left its bound though no single step did.",
        points(sql.FLAGS),
        over_checkpoints=True,
        low=0,
    )


def _health() -> list[Graph]:
    return [
        graph(
            "Dictionary: variance left over",
            "Fraction of variance unexplained on each checkpoint. Rising: the dictionary was "
            "trained on another model by now; above the policy's fvu_max all its features are "
            "invalid. Retrain it, or accept the realigned one that a repair proposes.",
            points(sql.health("fvu")),
            over_checkpoints=True,
            span=8,
            low=0,
        ),
        graph(
            "Dictionary: latents on at a token (L0)",
            "Mean number of latents that fire at a token. A jump either way says that the "
            "activations have another scale or direction than the dictionary expects.",
            points(sql.health("l0")),
            over_checkpoints=True,
            span=8,
            low=0,
        ),
        graph(
            "Dictionary: dead latents",
            "Share of latents that never fire on the corpus. Rising: features die with the "
            "update; look for the change `dead` among the drifted ones.",
            points(sql.health("dead_ratio")),
            unit="percentunit",
            over_checkpoints=True,
            span=8,
            low=0,
            high=1,
        ),
    ]
