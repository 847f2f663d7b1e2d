"""Graphs of the service dashboard."""

from grafana_foundation_sdk.models.common import AxisPlacement
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from deploy.grafana import service_sql as sql
from deploy.grafana.panels import Graph, by_word, graph
from deploy.grafana.queries import points, series
from deploy.grafana.words import STATES

REQUESTS = "featuredrift_http_request_duration_seconds"


def shards() -> Graph:
    """Pieces of work by state."""
    return by_word(
        graph(
            "Pieces of work",
            "Shards that wait or run. Waiting ones that pile up while few run: add workers; none "
            "running at all: look at the table of workers.",
            series("sum by (state) (featuredrift_shards)", "{{state}}"),
            low=0,
        ),
        STATES,
    )


def oldest() -> Graph:
    """Ages in the queue and the outbox."""
    return graph(
        "Oldest that waits",
        "The piece of work that has waited longest for a worker, and the oldest message that has "
        "not reached the broker. A straight rise of the latter: the dispatcher or Redis is down.",
        series("max(featuredrift_shards_oldest_queued_age_seconds)", "for a worker"),
        series("max(featuredrift_outbox_oldest_age_seconds)", "in the outbox"),
        unit="s",
        low=0,
    )


def evaluation_seconds() -> Graph:
    """How long evaluations took."""
    return graph(
        "Evaluation, from start to end",
        "Each evaluation that succeeded, where it ended. Much longer than before: more tokens, a "
        "larger checkpoint, controls turned on, or too few workers.",
        points(sql.EVALUATION_SECONDS),
        unit="s",
        span=8,
        over_checkpoints=True,
        low=0,
        legend_values=("lastNotNull", "max"),
    )


def ended() -> Graph:
    """Evaluations that ended."""
    return by_word(
        graph(
            "Evaluations ended",
            "Evaluations that have ended, by outcome, counted by the exporter. A step of failed: "
            "the table below has the reason.",
            series("sum by (status) (featuredrift_evaluations_total)", "{{status}}"),
            span=8,
            low=0,
        ),
        STATES,
    )


def evaluation_quantiles() -> Graph:
    """The exporter's histogram of durations."""
    bucket = 'featuredrift_evaluation_duration_seconds_bucket{status="succeeded"}'
    return graph(
        "Evaluations that succeeded took at most",
        "Half and 95 of 100 of all evaluations so far took at most this long, to the precision of "
        "the histogram's buckets: what to tell a pipeline that waits for the gate.",
        *(
            series(f"histogram_quantile({q}, sum by (le) ({bucket}))", f"{q:.0%}")
            for q in (0.5, 0.95)
        ),
        unit="s",
        span=8,
        low=0,
    )


def shard_seconds() -> Graph:
    """How long pieces of work took."""
    return graph(
        "Piece of work, by kind",
        "Each shard that succeeded, where it ended: plan, capture, compare. Shards should take "
        "minutes; with more, lower tokens_per_shard, so that a lost worker costs less.",
        points(sql.SHARD_SECONDS),
        unit="s",
        over_checkpoints=True,
        low=0,
        legend_values=("lastNotNull", "max"),
    )


def waiting_seconds() -> Graph:
    """How long pieces of work waited."""
    return graph(
        "Wait for a worker, by kind",
        "How long each shard had waited when it was last claimed. It grows with the queue: add "
        "workers, or let checkpoints come less often.",
        points(sql.WAITING_SECONDS),
        unit="s",
        over_checkpoints=True,
        low=0,
        legend_values=("lastNotNull", "max"),
    )


def requests() -> Graph:
    """Requests by status."""
    return graph(
        "Requests a second, by status",
        "503: Postgres is away. Other 5xx: a fault, in the API's log by correlation id. Many 4xx: "
        "a client sends what is refused; the problem's detail says what to do.",
        series(f"sum by (status) (rate({REQUESTS}_count[$__rate_interval]))", "{{status}}"),
        unit="reqps",
        span=8,
        low=0,
    )


def latency() -> Graph:
    """Latency by route."""
    return graph(
        "Latency at the 99th percentile, by route",
        "99 of 100 requests were answered within this time. Requests with wait= take as long as "
        "they were told to wait. A slow list wants a smaller limit; all slow at once is Postgres.",
        series(
            "histogram_quantile(0.99, sum by (le, route) "
            f"(rate({REQUESTS}_bucket[$__rate_interval]))) >= 0",
            "{{route}}",
        ),
        unit="s",
        span=8,
        low=0,
    )


def errors() -> Graph:
    """Share of requests that failed."""
    return graph(
        "Share of requests answered with 5xx",
        "Above 0 for more than a restart: the API's log has each with its correlation id.",
        series(
            f'(sum(rate({REQUESTS}_count{{status=~"5.."}}[$__rate_interval])) or vector(0))\n'
            f"/ (sum(rate({REQUESTS}_count[$__rate_interval])) > 0)",
            "5xx",
        ),
        unit="percentunit",
        span=8,
        low=0,
        high=1,
    )


def deliveries() -> Graph:
    """Webhook deliveries."""
    return graph(
        "Webhook deliveries",
        "pending waits for its next attempt; failed was given up. Pending that grows: a receiver "
        "is down; its delivery log in the API has the answers it gave.",
        series("sum by (state) (featuredrift_webhook_deliveries)", "{{state}}"),
        low=0,
    )


def snapshots() -> Graph:
    """Bytes of snapshots."""
    return graph(
        "Snapshots",
        "Bytes of snapshots in the artifact store, by model. A steady rise: set a retention policy "
        "on the monitors.",
        series("sum by (model) (featuredrift_snapshot_bytes)", "{{model}}"),
        unit="bytes",
        low=0,
    )


def reading() -> Graph:
    """How fresh the numbers are."""
    failed = "failed readings in 5 minutes"
    panel = graph(
        "Age of the exporter's reading",
        "Since the last successful reading of Postgres began, and readings that failed in five "
        "minutes. The age should stay within a few refresh periods.",
        series("max(featuredrift_exporter_reading_age_seconds)", "age"),
        series("sum(increase(featuredrift_exporter_reading_errors_total[5m]))", failed),
        unit="s",
        span=8,
        low=0,
    )
    return panel.override_by_name(
        failed,
        [
            DynamicConfigValue("unit", "short"),
            DynamicConfigValue("custom.axisPlacement", AxisPlacement.RIGHT),
        ],
    )


def memory() -> Graph:
    """Memory of the processes that are scraped."""
    return graph(
        "Memory of API and exporter",
        "Resident memory. It should be flat; a steady rise is a leak, to be reported.",
        series('process_resident_memory_bytes{job=~".*featuredrift.*"}', "{{job}} {{instance}}"),
        unit="bytes",
        span=8,
        low=0,
    )


def samples() -> Graph:
    """Series of a scrape."""
    return graph(
        "Series of a scrape",
        "Samples that each target gave at its last scrape. Near the scrape configuration's "
        "sample_limit the whole scrape is refused: watch fewer features, or raise the limit.",
        series('scrape_samples_scraped{job=~".*featuredrift.*"}', "{{job}} {{instance}}"),
        span=8,
        low=0,
    )
