"""Graphs of the feature dashboard."""

from deploy.grafana import feature_sql as sql
from deploy.grafana.panels import Graph, Timeline, dashed, graph, interval, timeline
from deploy.grafana.queries import points, rows
from deploy.grafana.words import DIAGNOSES, VERDICTS, coloured

BEYOND = ((None, "red"), (-1, "green"), (1, "red"))


def verdicts() -> Timeline:
    """Verdict and diagnosis over checkpoints."""
    return timeline(
        "Verdict and diagnosis",
        "What each checkpoint was judged as, until the next one. The first red one is the "
        "checkpoint to look at.",
        rows(sql.VERDICTS),
        mappings=[coloured(VERDICTS), coloured(DIAGNOSES)],
        height=5,
    )


def margins() -> Graph:
    """The verdict's leading effect, in margins."""
    return interval(
        graph(
            "Leading effect, in margins",
            "The effect that leads the verdict, with its 95% interval, as multiples of its margin. "
            "Wholly between -1 and 1 is stable, wholly beyond is drifted, across a line is "
            "inconclusive: more documents narrow it.",
            points(sql.MARGINS),
            steps=BEYOND,
            over_checkpoints=True,
            span=24,
        ),
        middle="effect",
        lower="at least",
        upper="at most",
    )


def estimate() -> Graph:
    """One estimand in its own unit."""
    panel = graph(
        "Estimate of ${estimand}",
        "The chosen estimand in its own unit, with its interval and margin. rate, magnitude and "
        "scale are log ratios, the others differences or losses; 0 is no change. The margin may "
        "differ between checkpoints where measured noise raised it.",
        points(sql.ESTIMATE),
        over_checkpoints=True,
    )
    return dashed(
        interval(panel, middle="effect", lower="at least", upper="at most"),
        "margin",
    )


def score() -> Graph:
    """Drift score."""
    return graph(
        "Drift score over checkpoints",
        "0 is the noise floor, 1 no better than a randomised model. It compares checkpoints where "
        "effects have different units. Without values where the randomised-model control is off.",
        points(sql.SCORE),
        over_checkpoints=True,
        low=0,
        high=1,
    )


def auroc() -> Graph:
    """How well it reads its concept."""
    return graph(
        "AUROC of its concept",
        "How well it separates its concept's tokens from others: 1 is perfectly, 0.5 is chance. "
        "Falling below the baseline's: it no longer reads what it is named for. Only features "
        "that claim a concept have values.",
        points(sql.AUROC),
        over_checkpoints=True,
        high=1,
    )


def trend() -> Graph:
    """The moving average over checkpoints."""
    return dashed(
        graph(
            "Slow drift",
            "The moving average of the effect over checkpoints, and its bound. Beyond the bound "
            "many small steps add up, though no single one is beyond its margin: set a new "
            "baseline on purpose, or find what the training changes. Watched features only.",
            points(sql.TREND),
            over_checkpoints=True,
        ),
        "bound",
        "lower bound",
    )


def firing() -> Graph:
    """How often it is on."""
    return graph(
        "Fires at",
        "Share of tokens at which the feature is on, on the baseline and on each checkpoint. "
        "Towards 0 it dies, and too few documents remain to judge it.",
        points(sql.FIRING),
        unit="percentunit",
        over_checkpoints=True,
        low=0,
    )


def documents() -> Graph:
    """How much there is to judge by."""
    return graph(
        "Documents",
        "Probe documents that were looked at, and those the feature was active in. Under the "
        "policy's min_active_documents nothing can be told: add documents of its concept.",
        points(sql.DOCUMENTS),
        over_checkpoints=True,
        low=0,
    )
