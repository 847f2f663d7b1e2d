"""A scrape of 50 models × 4 monitors × 200 watched features, and the memory of 1,000 of them.

Real Postgres, the exporter as a process of its own, as production runs it. What is timed is one
GET /metrics over HTTP, from another process; beside it, how long one reading of Postgres takes.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx
import psutil
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from app.core.database import Database, make_engine
from app.exporter.take import take_reading
from app.settings import Settings
from benchmarks.filling import copy_verdicts, fill_monitor
from benchmarks.machine import describe
from benchmarks.servers import featuredrift, make_database, plain, postgres

LIMIT_SECONDS = 0.5
FLAT = 1.05
"""Memory after the last scrape, over memory after a tenth of them."""
_PARSER_BYTES = 2 << 20


def main() -> int:
    """Fill, scrape, print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--models", type=int, default=50)
    asked.add_argument("--monitors", type=int, default=4)
    asked.add_argument("--features", type=int, default=200)
    asked.add_argument("--scrapes", type=int, default=1000)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="featuredrift-scrape-") as name:
        folder = Path(name)
        with postgres(folder) as server:
            url = make_database(server, "scrape", migrated=True)
            rows = _fill(url, options.models, options.monitors, options.features)
            reading = _reading_seconds(url)
            with featuredrift("exporter", url, folder) as (base, child):
                return _scrape(base, psutil.Process(child.pid), options.scrapes, rows, reading)


def _fill(url: str, models: int, monitors: int, features: int) -> int:
    rows = 0
    with psycopg.connect(plain(url)) as connection:
        for model in range(models):
            for monitor in range(monitors):
                filled = fill_monitor(
                    connection,
                    model=f"model-{model}",
                    monitor=f"model-{model}-monitor-{monitor}",
                    features=features,
                    evaluations=3,
                    watch=True,
                )
                rows += copy_verdicts(connection, filled)
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE")
    return rows


def _reading_seconds(url: str) -> float:
    """Median of some readings of Postgres, which happen on a timer and not in a scrape."""
    database = Database(make_engine(Settings(DATABASE_URL=url), application="benchmark"))
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        with database.unit_of_work() as session:
            take_reading(session, 60.0)
        taken.append(time.perf_counter() - began)
    database.dispose()
    return median(taken)


def _scrape(base: str, exporter: psutil.Process, scrapes: int, rows: int, reading: float) -> int:
    seconds: list[float] = []
    memory: list[int] = []
    with httpx.Client(base_url=base, timeout=60) as client:
        body = _until_read(client)
        for _ in range(scrapes):
            began = time.perf_counter()
            client.get("/metrics").raise_for_status()
            seconds.append(time.perf_counter() - began)
            memory.append(exporter.memory_info().rss)
    series = sum(len(found.samples) for found in text_string_to_metric_families(body))
    seconds.sort()
    p95, worst = seconds[int(0.95 * (scrapes - 1))], seconds[-1]
    early, late = max(memory[: max(scrapes // 10, 1)]), max(memory[-max(scrapes // 10, 1) :])
    flat = late <= FLAT * early + _PARSER_BYTES
    print(describe())
    print(f"{rows} verdict rows, {series} series, {len(body) / 2**20:.1f} MiB a scrape")
    print(f"one reading of Postgres: {reading:.3f} s (median of 5)")
    print(
        f"scrape: median {median(seconds) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms, at most "
        f"{worst * 1000:.0f} ms of {scrapes} (wanted: p95 under {LIMIT_SECONDS * 1000:.0f} ms)"
    )
    print(
        f"memory of the exporter: {early / 2**20:.0f} MiB in the first tenth, "
        f"{late / 2**20:.0f} MiB in the last ({'flat' if flat else 'NOT flat'})"
    )
    return 0 if p95 < LIMIT_SECONDS and flat else 1


def _until_read(client: httpx.Client) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        body = client.get("/metrics").raise_for_status().text
        if "featuredrift_feature_verdict{" in body:
            return body
        time.sleep(0.2)
    raise RuntimeError("the exporter has no reading; see exporter_statement_timeout")


if __name__ == "__main__":
    sys.exit(main())
