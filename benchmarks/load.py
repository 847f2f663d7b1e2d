"""The API under load from a process of its own, on loopback.

First a sustained mix of what dashboards, pipelines and training jobs ask for, beside stored
results; then checkpoints registered by many at once, of which some are sent twice or more often.
Checked: no errors, no row twice, no deadlock.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.filling import Filled, copy_verdicts, fill_monitor
from benchmarks.machine import describe
from benchmarks.servers import featuredrift, make_database, plain, postgres

Line = dict[str, Any]


def main() -> int:
    """Fill, send, count."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=60.0, help="of the sustained mix")
    asked.add_argument("--threads", type=int, default=8, help="of the client, in the mix")
    asked.add_argument("--checkpoints", type=int, default=10_000, help="registrations sent")
    asked.add_argument("--duplicates", type=float, default=0.3, help="share of them sent again")
    asked.add_argument("--writers", type=int, default=16, help="threads that register")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="featuredrift-load-") as name:
        folder = Path(name)
        with postgres(folder) as server:
            url = make_database(server, "load", migrated=True)
            with psycopg.connect(plain(url), autocommit=True) as connection:
                filled = fill_monitor(
                    connection,
                    model="line",
                    monitor="line",
                    features=200,
                    evaluations=100,
                    watch=True,
                )
                copy_verdicts(connection, filled)
                connection.execute("VACUUM ANALYZE")
                with featuredrift("api", url, folder) as (base, _):
                    print(describe())
                    good = _mix(base, filled, options)
                    good &= _register(base, connection, options)
                    good &= _no_deadlock(connection)
    return 0 if good else 1


def _mix(base: str, filled: Filled, options: argparse.Namespace) -> bool:
    """Nine reads to one write, as far as the kinds go; each kind's share is its weight."""
    _post(base, "/v1/models", {"name": "trained"})
    evaluations, features = filled.evaluations, filled.feature_ids
    kinds: list[tuple[int, str, str, str, Line | None]] = [
        (20, "evaluation", "GET", f"/v1/evaluations/{evaluations[-1]}", None),
        (15, "verdicts", "GET", f"/v1/evaluations/{evaluations[-1]}/verdicts?limit=50", None),
        (10, "feature's history", "GET", f"/v1/features/{features[0]}/history", None),
        (10, "feature's series", "GET", f"/v1/features/{features[1]}/series", None),
        (10, "monitor's history", "GET", "/v1/monitors/line/history", None),
        (10, "checkpoints", "GET", "/v1/models/line/checkpoints", None),
        (10, "alerts", "GET", "/v1/alerts?state=open", None),
        (5, "models", "GET", "/v1/models", None),
        (
            10,
            "register a checkpoint",
            "POST",
            "/v1/models/trained/checkpoints",
            {"name": "step-{n}", "source": "s3://ckpt/trained"},
        ),
    ]
    lines = [
        {"kind": kind, "method": method, "url": base + path, "body": body}
        for weight, kind, method, path, body in kinds
        for _ in range(weight)
    ]
    random.Random(0).shuffle(lines)
    found = _send(lines, options.threads, options.seconds)
    by_kind: dict[str, list[float]] = defaultdict(list)
    for kind, _, seconds in found["answers"]:
        by_kind[kind].append(seconds)
    bad = Counter(status for _, status, _ in found["answers"] if not 200 <= status < 300)
    whole = [seconds for _, _, seconds in found["answers"]]
    print(
        f"mix, {options.threads} threads, {found['seconds']:.0f} s: {len(whole)} requests, "
        f"{len(whole) / found['seconds']:.0f}/s, {_quantiles(whole)}, errors: {dict(bad) or 'none'}"
    )
    for kind, taken in sorted(by_kind.items()):
        print(f"  {kind:24} {len(taken):6}  {_quantiles(taken)}")
    return not bad


def _register(base: str, connection: psycopg.Connection, options: argparse.Namespace) -> bool:
    """Register into four lines at once; a duplicate follows its original within some requests."""
    for line in range(4):
        _post(base, "/v1/models", {"name": f"many-{line}"})
    again = int(options.checkpoints * options.duplicates)
    distinct = options.checkpoints - again
    chance = random.Random(1)
    bodies = [(n, n + 0.0) for n in range(distinct)]
    bodies += [
        (n, n + chance.uniform(0, 2 * options.writers))
        for n in chance.choices(range(distinct), k=again)
    ]
    bodies.sort(key=lambda pair: pair[1])
    lines = [
        {
            "kind": "register",
            "method": "POST",
            "url": f"{base}/v1/models/many-{n % 4}/checkpoints",
            "body": {"name": f"step-{n}", "source": f"s3://ckpt/step-{n}"},
        }
        for n, _ in bodies
    ]
    found = _send(lines, options.writers, None)
    statuses = Counter(status for _, status, _ in found["answers"])
    rows, names = connection.execute(
        "SELECT count(*), count(DISTINCT (c.model_id, c.name)) FROM checkpoints c "
        "JOIN models m ON m.id = c.model_id WHERE m.name LIKE 'many-%'"
    ).fetchone() or (0, 0)
    print(
        f"{len(lines)} registrations by {options.writers} threads, {again} of them again: "
        f"{len(lines) / found['seconds']:.0f}/s, "
        f"{_quantiles([seconds for _, _, seconds in found['answers']])}; answers "
        f"{dict(sorted(statuses.items()))}; {rows} rows, {names} names (wanted: {distinct} each)"
    )
    return statuses == {201: distinct, 200: again} and rows == names == distinct


def _no_deadlock(connection: psycopg.Connection) -> bool:
    connection.execute("SELECT pg_stat_clear_snapshot()")
    row = connection.execute(
        "SELECT deadlocks, xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    ).fetchone()
    deadlocks, rolled_back = row or (-1, -1)
    print(f"deadlocks: {deadlocks}, transactions rolled back: {rolled_back}")
    return deadlocks == 0


def _quantiles(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p50, p99 = (1000 * ordered[int(q * (len(ordered) - 1))] for q in (0.5, 0.99))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"


def _post(base: str, path: str, body: Line) -> None:
    httpx.post(base + path, json=body, timeout=60).raise_for_status()


def _send(lines: list[Line], threads: int, seconds: float | None) -> dict[str, Any]:
    arguments = [str(threads), *([str(seconds)] if seconds is not None else [])]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.traffic", *arguments],
        input="\n".join(json.dumps(line) for line in lines),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
