"""Metrics of what the newest evaluations found."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from app.exporter.families import MONITOR, gauge, info, labels_of
from app.exporter.reading import Latest, Reading


def values(reading: Reading, *, features: bool = True) -> Iterator[Metric]:
    """The newest succeeded evaluation of each monitor.

    Args:
        features: whether the watched features' own series are among it.
    """
    yield from _comparisons(reading.latest)
    if features:
        yield from feature_values(reading.latest)
    for field, name, text in (
        ("fvu", "dictionary_fvu_ratio", "Fraction of variance that the dictionary leaves over."),
        ("l0", "dictionary_l0", "Mean number of latents that fire at a token."),
        ("dead_ratio", "dictionary_dead_ratio", "Share of latents that never fire on the corpus."),
    ):
        yield gauge(
            name,
            f"{text} On the newest evaluated checkpoint.",
            (*MONITOR, "dictionary"),
            (
                ((*labels_of(latest), health.dictionary), getattr(health, field))
                for latest in reading.latest
                for health in latest.dictionaries
            ),
        )
    yield gauge(
        "dictionary_stale",
        "1 when a drifted feature's diagnosis says that its dictionary must be trained again.",
        (*MONITOR, "dictionary"),
        (
            ((*labels_of(latest), health.dictionary), float(health.stale))
            for latest in reading.latest
            for health in latest.dictionaries
        ),
    )
    yield gauge(
        "evaluation_invalid",
        "1 when no feature of the newest succeeded evaluation could be compared with the baseline.",
        MONITOR,
        ((labels_of(latest), float(latest.invalid)) for latest in reading.latest),
    )
    yield gauge(
        "evaluated_checkpoint_registered_timestamp_seconds",
        "When the newest checkpoint with a succeeded evaluation was registered.",
        MONITOR,
        ((labels_of(latest), latest.registered.timestamp()) for latest in reading.latest),
    )
    yield gauge(
        "control_failed",
        "1 when a negative control of the newest evaluation failed, 0 when it held; without a "
        "value where it does not apply or cannot be told.",
        (*MONITOR, "control"),
        (
            ((*labels_of(latest), control), None if passed is None else float(not passed))
            for latest in reading.latest
            for control, passed in latest.controls.items()
        ),
    )
    yield info(
        "evaluation",
        "The newest succeeded evaluation of a monitor, to join its values on.",
        (
            {
                **dict(zip(MONITOR, labels_of(latest), strict=True)),
                "evaluation": latest.evaluation,
                "checkpoint": latest.checkpoint,
                "baseline": latest.baseline,
            }
            for latest in reading.latest
        ),
    )
    yield info(
        "checkpoint",
        "The newest evaluated checkpoint of a model.",
        (
            {"model": entry.model, "checkpoint": entry.checkpoint, "digest": entry.digest}
            for entry in reading.newest_checkpoints
        ),
    )
    yield info(
        "alias",
        "The checkpoint behind an alias.",
        (
            {
                "model": entry.model,
                "alias": entry.alias or "",
                "checkpoint": entry.checkpoint,
                "digest": entry.digest,
            }
            for entry in reading.aliases
        ),
    )


def _comparisons(latest: tuple[Latest, ...]) -> Iterator[Metric]:
    pairs = [
        ((*labels_of(entry), comparison.name), comparison)
        for entry in latest
        for comparison in entry.comparisons
    ]
    labels = (*MONITOR, "comparison")
    yield gauge(
        "features",
        "Features by verdict in the newest evaluation.",
        (*labels, "verdict"),
        (
            ((*key, verdict), count)
            for key, comparison in pairs
            for verdict, count in comparison.verdicts.items()
        ),
    )
    for position, suffix, text in (
        (0, "", "Share of the judged features that drifted."),
        (1, "_lower", "Lower end of its Wilson interval."),
        (2, "_upper", "Upper end of its Wilson interval."),
    ):
        yield gauge(
            f"drifted_features_ratio{suffix}",
            text,
            labels,
            ((key, c.ratio[position]) for key, c in pairs if c.ratio is not None),
        )
    yield gauge(
        "drift_score_quantile",
        "Quantiles of the drift score over the features that have one.",
        (*labels, "q"),
        ((((*key, q), score)) for key, c in pairs for q, score in c.score_quantiles.items()),
    )
    yield gauge(
        "paged_features",
        "Features beyond a margin by simultaneous intervals within the false-page budget: wake "
        "someone.",
        labels,
        ((key, c.paged) for key, c in pairs),
    )
    yield gauge(
        "slow_drift_features",
        "Watched features whose moving average over checkpoints has left its bound.",
        labels,
        ((key, c.slow_drift) for key, c in pairs),
    )


def feature_values(latest: tuple[Latest, ...]) -> Iterator[Metric]:
    """The watched features of the newest succeeded evaluations: nearly all series there are."""
    pairs = [((*labels_of(entry), f.name), f) for entry in latest for f in entry.features]
    labels = (*MONITOR, "feature")
    for field, name, text in (
        ("drift_score", "feature_drift_score", "0 is noise, 1 no better than a random model."),
        ("firing_ratio", "feature_firing_ratio", "Share of tokens at which the feature is on."),
        ("concept_auroc", "feature_concept_auroc", "How well it separates its concept's tokens."),
        ("paged", "feature_paged", "1 when it is beyond a margin within the false-page budget."),
        ("slow_drift", "feature_slow_drift", "1 when its moving average has left its bound."),
    ):
        yield gauge(name, text, labels, ((key, getattr(f, field)) for key, f in pairs))
    yield gauge(
        "feature_verdict",
        "1 for the verdict that holds, against the pinned baseline.",
        (*labels, "verdict"),
        (((*key, f.verdict), 1.0) for key, f in pairs),
    )
    yield gauge(
        "feature_drift_margins",
        "Effect of what changed most of a drifted feature, in units of its margin.",
        (*labels, "change", "estimand", "diagnosis"),
        (
            ((*key, f.drift.change, f.drift.estimand, f.drift.diagnosis), f.drift.margins)
            for key, f in pairs
            if f.drift is not None
        ),
    )
