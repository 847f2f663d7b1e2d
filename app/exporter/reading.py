"""What one look at Postgres found: immutable, so that a scrape never sees half of the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.verdicts.gate import Outcome

DURATION_BOUNDS = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 21600)
"""Upper bounds in seconds of the buckets of an evaluation's duration."""


@dataclass(frozen=True)
class MonitorKey:
    """The labels of a monitor's series."""

    model: str
    monitor: str


@dataclass(frozen=True)
class Comparison:
    """How the features of one comparison were judged.

    Args:
        verdicts: verdict → number of features.
        ratio: share of drifted features with its interval (estimate, lower, upper); none when no
            feature was judged.
    """

    name: str
    verdicts: Mapping[str, int]
    ratio: tuple[float, float, float] | None
    score_quantiles: Mapping[str, float]
    paged: int
    """Features that someone is woken for."""
    slow_drift: int
    held_by_benign: int = 0
    """Stable features that only the noise floor of checkpoints marked benign makes so."""


@dataclass(frozen=True)
class WatchedFeature:
    """A feature of the watchlist, in the comparison with the pinned baseline."""

    name: str
    verdict: str
    firing_ratio: float | None
    concept_auroc: float | None
    drift_score: float | None
    paged: bool
    slow_drift: bool
    drift: "Drift | None" = None


@dataclass(frozen=True)
class Drift:
    """What has changed of a drifted feature, in the words of its verdict."""

    change: str
    estimand: str
    diagnosis: str
    margins: float
    """The effect in units of its margin, without sign."""


@dataclass(frozen=True)
class Health:
    """How well a dictionary reconstructs the candidate's site."""

    dictionary: str
    fvu: float | None
    l0: float | None
    dead_ratio: float | None
    stale: bool
    """A drifted feature's diagnosis is that the dictionary must be trained again."""


@dataclass(frozen=True)
class Latest:
    """The newest succeeded evaluation of a monitor."""

    key: MonitorKey
    evaluation: str
    checkpoint: str
    registered: datetime
    """When the checkpoint was registered."""
    digest: str
    baseline: str
    comparisons: tuple[Comparison, ...]
    features: tuple[WatchedFeature, ...]
    dictionaries: tuple[Health, ...]
    controls: Mapping[str, bool | None]
    """control → whether it passed; none: not applicable, or it cannot be told."""
    monitor_version: int = 0
    """The monitor's version when it was read: another one may watch other features."""
    only_slow: int = 0
    """Features that drift slowly and have not drifted at one blow."""
    dictionaries_left_out: int = 0

    @property
    def invalid(self) -> bool:
        """No feature could be compared with the baseline at all."""
        counts = next((c.verdicts for c in self.comparisons if c.name == "baseline"), {})
        return 0 < sum(counts.values()) == counts.get("invalid", 0)


@dataclass(frozen=True)
class Durations:
    """Durations of a monitor's evaluations that ended one way."""

    counts: tuple[int, ...]
    """Cumulative, one for each of `DURATION_BOUNDS`, then all."""
    total: float
    """Seconds, summed."""


@dataclass(frozen=True)
class Activity:
    """What a monitor's evaluations are doing and have done."""

    key: MonitorKey
    page_budget_remaining: float | None
    """Share of the quarter's false-page budget that is left; none for a disabled monitor."""
    states: Mapping[str, int]
    durations: Mapping[str, Durations]
    last_success: datetime | None
    newest_failed: bool | None
    """Whether the newest evaluation that ended by itself failed; none for a disabled monitor, or
    one without such an evaluation."""
    gate: Outcome | None
    """What the monitor's newest evaluation says of its checkpoint; none without one."""
    alerts: Mapping[tuple[str, str], int]
    """(severity, unresolved state) → number of alerts."""
    unjudged_since: datetime | None = None
    """When the first checkpoint after the newest judged one was registered; none without such."""


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint that stands for its model: newest evaluated, or behind an alias."""

    model: str
    checkpoint: str
    digest: str
    alias: str | None = None


@dataclass(frozen=True)
class Reading:
    """Everything that one refresh found."""

    latest: tuple[Latest, ...]
    activity: tuple[Activity, ...]
    newest_checkpoints: tuple[CheckpointInfo, ...]
    aliases: tuple[CheckpointInfo, ...]
    registered: Mapping[str, datetime]
    """Model → when its newest checkpoint was registered."""
    outbox_oldest_age: float
    """Seconds that the oldest unpublished message has waited; 0 when there is none."""
    shards: Mapping[str, int]
    """Open state → number of shards."""
    shards_oldest_queued_age: float
    """Seconds that the shard that has waited longest for a worker has waited; 0 without any."""
    webhook_deliveries: Mapping[str, int]
    """`pending` or `failed` → number of deliveries."""
    left_out: Mapping[str, int]
    """Kind of thing → how many are not exported because of the bound on their number."""
    snapshots: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Model → complete snapshots in the artifact store, and their bytes."""
