"""Reads through the REST API with a large table of results beside.

The history of one feature over 1,000 checkpoints, and the 50 most drifted latents of an evaluation
of a dictionary of 1 M latents (of which Postgres holds the top rows, and a Parquet file all). The
rows beside are made inside Postgres, as many as the asked number and the disk allow: bytes a row
are measured first, and what was really there is printed.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.filling import Filled, copy_verdicts, fill_monitor, insert_verdicts
from benchmarks.machine import describe
from benchmarks.servers import featuredrift, make_database, plain, postgres

LIMIT_SECONDS = 0.1
LATENTS = 1_000_000
TOP_ROWS = 200
"""Rows that Postgres holds of an evaluation of a whole dictionary."""
_PROBE = 100_000
_BATCH_EVALUATIONS = 500


def main() -> int:
    """Fill, read, print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--checkpoints", type=int, default=1000)
    asked.add_argument("--rows", type=int, default=100_000_000, help="rows beside, at most")
    asked.add_argument("--disk-gib", type=float, default=20.0, help="disk for them, at most")
    asked.add_argument("--minutes", type=float, default=20.0, help="time to make them, at most")
    asked.add_argument("--tables", type=int, default=100, help="Parquet files of 1 M latents")
    asked.add_argument("--requests", type=int, default=300)
    asked.add_argument("--folder", type=Path, help="where the database lies; default: temporary")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="featuredrift-history-", dir=options.folder) as name:
        folder = Path(name)
        with postgres(folder) as server:
            url = make_database(server, "history", migrated=True)
            with psycopg.connect(plain(url), autocommit=True) as connection:
                line, top = _fill(connection, options)
            _tables(folder, options.tables)
            with featuredrift("api", url, folder) as (base, _):
                return _read(base, line, top, options)


def _fill(connection: psycopg.Connection, options: argparse.Namespace) -> tuple[Filled, Filled]:
    # References hold by construction; checking each of 100 M rows again would take hours.
    connection.execute("SET session_replication_role = replica")
    connection.execute("SET synchronous_commit = off")
    line = fill_monitor(
        connection,
        model="line",
        monitor="line",
        features=200,
        evaluations=options.checkpoints,
        watch=True,
    )
    rows = copy_verdicts(connection, line)
    top = fill_monitor(
        connection,
        model="line",
        monitor="whole",
        features=1,
        evaluations=1,
        watch=False,
        dictionary=True,
    )
    rows += insert_verdicts(connection, top.evaluations, TOP_ROWS)
    connection.execute(
        "UPDATE verdicts SET verdict = 'drifted' WHERE evaluation_id = %s", [top.evaluations[0]]
    )
    beside = fill_monitor(
        connection, model="beside", monitor="beside", features=1, evaluations=1, watch=False
    )
    rows += _beside(connection, beside, options)
    began = time.perf_counter()
    connection.execute("VACUUM (ANALYZE, FREEZE)")
    size = _size(connection)
    print(
        f"{rows:,} verdict rows, {size / 2**30:.2f} GiB with indexes "
        f"({size / rows:.0f} bytes a row); vacuumed in {time.perf_counter() - began:.0f} s"
    )
    return line, top


def _beside(connection: psycopg.Connection, filled: Filled, options: argparse.Namespace) -> int:
    """Rows of other evaluations, until number, disk or time is used up; how many."""
    features = 1000
    before = _size(connection)
    first = _evaluations(connection, filled, _PROBE // features)
    probe = insert_verdicts(connection, first, features)
    each = (_size(connection) - before) / probe
    wanted = min(options.rows, int(options.disk_gib * 2**30 / each))
    print(f"measured first: {each:.0f} bytes a row; {wanted:,} rows fit into what was asked for")
    made, deadline = probe, time.monotonic() + 60 * options.minutes
    while made < wanted and time.monotonic() < deadline:
        count = min(_BATCH_EVALUATIONS, max((wanted - made) // features, 1))
        made += insert_verdicts(connection, _evaluations(connection, filled, count), features)
    if made < wanted:
        print(f"stopped after {options.minutes:g} minutes at {made:,} rows")
    return made


def _evaluations(connection: psycopg.Connection, filled: Filled, count: int) -> list[UUID]:
    rows = connection.execute(
        "INSERT INTO evaluations (id, monitor_id, checkpoint_id, baseline_checkpoint_id, "
        "corpus_id, feature_set_version_id, policy, inputs_digest, state, step) "
        "SELECT uuidv7(), monitor_id, checkpoint_id, baseline_checkpoint_id, corpus_id, "
        "feature_set_version_id, '{}', uuidv7()::text, 'succeeded', 'done' "
        "FROM evaluations, generate_series(1, %s) WHERE id = %s RETURNING id",
        [count, filled.evaluations[0]],
    )
    return [row[0] for row in rows]


def _size(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_total_relation_size('verdicts')").fetchone()
    assert row is not None
    return int(row[0])


def _tables(folder: Path, count: int) -> None:
    """One Parquet file of all latents, and links to it in the place of the other evaluations'."""
    if not count:
        return
    first = folder / "artifacts" / "evaluations" / "0" / "baseline.parquet"
    first.parent.mkdir(parents=True)
    index = pa.array(range(LATENTS), pa.int32())
    numbers = pa.array([i / LATENTS for i in range(LATENTS)], pa.float64())
    pq.write_table(pa.table({"feature": index, "effect": numbers, "p_drifted": numbers}), first)
    for other in range(1, count):
        target = folder / "artifacts" / "evaluations" / str(other) / "baseline.parquet"
        target.parent.mkdir()
        os.link(first, target)
    print(f"{count} tables of {LATENTS:,} latents as artifacts (links to one)")


def _read(base: str, line: Filled, top: Filled, options: argparse.Namespace) -> int:
    features = line.feature_ids
    with httpx.Client(base_url=base, timeout=60) as client:

        def page(index: int) -> int:
            path = f"/v1/features/{features[index % len(features)]}/history"
            return _items(client, path, {"comparison": "baseline"})

        def whole(index: int) -> int:
            path = f"/v1/features/{features[index % len(features)]}/history"
            found, cursor = 0, None
            while True:
                asked = {"limit": "500"} | ({"cursor": cursor} if cursor else {})
                answer = client.get(path, params=asked).raise_for_status().json()
                found += len(answer["items"])
                cursor = answer["next_cursor"]
                if cursor is None:
                    return found

        def series(index: int) -> int:
            path = f"/v1/features/{features[index % len(features)]}/series"
            return _items(client, path, {"comparison": "baseline"})

        def drifted(_index: int) -> int:
            asked = {"verdict": "drifted", "sort": "drift_score", "limit": "50"}
            return _items(client, f"/v1/evaluations/{top.evaluations[0]}/verdicts", asked)

        print(describe())
        good = [
            _measure("history, newest 50", page, options.requests, min(50, options.checkpoints)),
            _measure(
                f"series, all {options.checkpoints}", series, options.requests, options.checkpoints
            ),
            _measure("most drifted, 50 asked for", drifted, options.requests, 50),
        ]
        few = max(options.requests // 10, 5)
        everything = f"history with all evidence, all {options.checkpoints}, in pages of 500"
        _measure(everything, whole, few, options.checkpoints)
    return 0 if all(good) else 1


def _items(client: httpx.Client, path: str, asked: dict[str, str]) -> int:
    return len(client.get(path, params=asked).raise_for_status().json()["items"])


def _measure(what: str, read: Callable[[int], int], requests: int, expected: int) -> bool:
    seconds = []
    for index in range(requests + 10):
        began = time.perf_counter()
        found = read(index)
        seconds.append(time.perf_counter() - began)
        if found != expected:
            raise RuntimeError(f"{what}: {found} items, {expected} were expected")
    seconds = sorted(seconds[10:])
    p50, p95 = (1000 * seconds[int(q * (len(seconds) - 1))] for q in (0.5, 0.95))
    print(
        f"{what}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, at most {1000 * seconds[-1]:.1f} ms "
        f"of {requests} (wanted: p95 under {1000 * LIMIT_SECONDS:.0f} ms)"
    )
    return p95 < 1000 * LIMIT_SECONDS


if __name__ == "__main__":
    sys.exit(main())
