"""Service: whether work gets done, how fast, and whether the numbers here are fresh."""

from deploy.grafana import service_graphs as graphs
from deploy.grafana import service_tables as details
from deploy.grafana.layout import SERVICE, Section, dashboard
from deploy.grafana.panels import NEVER_GOOD, Stat, stat
from deploy.grafana.queries import now
from deploy.grafana.words import yes_no

AGE_STEPS = ((None, "green"), (60, "yellow"), (300, "red"))


def build(api_url: str) -> str:
    """The dashboard's JSON."""
    return dashboard(
        SERVICE,
        "Featuredrift itself: queue, leases, outbox, durations, API, webhooks, exporter.",
        [
            Section("Now", _stats()),
            Section(
                "Queue",
                [
                    graphs.shards(),
                    graphs.oldest(),
                    details.leases(),
                    details.workers(),
                ],
            ),
            Section(
                "Durations",
                [
                    graphs.evaluation_seconds(),
                    graphs.evaluation_quantiles(),
                    graphs.ended(),
                    graphs.shard_seconds(),
                    graphs.waiting_seconds(),
                    details.failed(),
                ],
            ),
            Section("API", [graphs.requests(), graphs.latency(), graphs.errors()]),
            Section("Webhooks and storage", [graphs.deliveries(), graphs.snapshots()]),
            Section("Exporter", [graphs.reading(), graphs.memory(), graphs.samples()]),
        ],
        api_url=api_url,
        since="now-6h",
        refresh="30s",
    )


def _stats() -> list[Stat]:
    return [
        stat(
            "Exporter",
            "Whether the exporter's last reading of Postgres succeeded and is recent. away: all "
            "other values of Featuredrift are missing, not old; look at Postgres and at the "
            "exporter's log.",
            now("min(featuredrift_exporter_up)", "exporter"),
            mappings=[yes_no("up", "away", bad="green", good="red")],
            steps=((None, "red"), (1, "green")),
            no_value="not scraped",
        ),
        stat(
            "Waiting for a worker",
            "How long the piece of work that has waited longest has waited. Minutes: all workers "
            "are busy, or none runs.",
            now("max(featuredrift_shards_oldest_queued_age_seconds)", "age"),
            unit="s",
            steps=((None, "green"), (300, "yellow"), (1800, "red")),
        ),
        stat(
            "Outbox",
            "How long the oldest message that is not yet with the broker has waited. More than "
            "seconds: the dispatcher is down, or does not reach Redis.",
            now("max(featuredrift_outbox_oldest_age_seconds)", "age"),
            unit="s",
            steps=AGE_STEPS,
        ),
        stat(
            "Evaluations open",
            "Evaluations that wait or run. One that stays for hours without pieces of work under "
            "way is stuck: see the leases and the outbox.",
            now("sum(featuredrift_evaluations_open)", "evaluations"),
        ),
        stat(
            "Monitors whose newest evaluation failed",
            "Each is an evaluation that nobody has retried since it failed: see the table of "
            "failed evaluations.",
            now("sum(featuredrift_evaluation_failed)", "monitors"),
            steps=NEVER_GOOD,
        ),
        stat(
            "Left out of the metrics",
            "Monitors and dictionaries beyond the bounds on the number of series: nothing watches "
            "them here. Disable monitors that nobody needs.",
            now("sum(featuredrift_exporter_left_out)", "left out"),
            steps=NEVER_GOOD,
        ),
    ]
