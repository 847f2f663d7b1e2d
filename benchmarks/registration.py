"""Registering checkpoints, beside creating model versions in an MLflow tracking server.

Same machine, same Postgres server (a database each), the same client in a process of its own, the
same sources (`s3://…`, which neither opens), the two taking turns. With `--monitors 1` ours also
starts an evaluation for each checkpoint, with its shard and its message, in the same transaction.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from sqlalchemy.engine import make_url

from benchmarks.calibration.environments import PeerError, interpreter
from benchmarks.machine import describe
from benchmarks.servers import featuredrift, free_port, make_database, postgres, process

WANTED = 3.0
_SITE = "blocks.1.hook_resid_post"
Post = dict[str, Any]
"""A URL and a body."""
Targets = dict[str, Callable[[int], Post]]


def main() -> int:
    """Take turns, print throughput and latencies of both."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--requests", type=int, default=400, help="a turn")
    asked.add_argument("--turns", type=int, default=5)
    asked.add_argument("--threads", type=int, default=4, help="of the client")
    asked.add_argument("--models", type=int, default=4, help="lines that are registered into")
    asked.add_argument("--mlflow-workers", type=int, default=4, help="MLflow's own default is 4")
    asked.add_argument("--monitors", type=int, default=0, help="evaluations that each POST starts")
    options = asked.parse_args()
    try:
        python = interpreter("mlflow")
    except PeerError as error:
        sys.stderr.write(f"mlflow cannot be installed here: {error}\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="featuredrift-registration-") as name:
        folder = Path(name)
        with ExitStack() as stack:
            server = stack.enter_context(postgres(folder))
            ours, _ = stack.enter_context(
                featuredrift("api", make_database(server, "ours", migrated=True), folder)
            )
            theirs = stack.enter_context(_mlflow(python, server, folder, options.mlflow_workers))
            _prepare_ours(ours, options)
            _prepare_theirs(theirs, options.models)
            targets: Targets = {
                "featuredrift": lambda number: _checkpoint(ours, number, options.models),
                "mlflow": lambda number: _version(theirs, number, options.models),
            }
            return _take_turns(targets, options)


@contextmanager
def _mlflow(python: Path, server: str, folder: Path, workers: int) -> Iterator[str]:
    url = make_url(make_database(server, "theirs", migrated=False)).set(
        drivername="postgresql+psycopg2"
    )
    port = free_port()
    command = [
        *(str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", url.render_as_string(hide_password=False)),
        *("--artifacts-destination", str(folder / "mlartifacts"), "--workers", str(workers)),
    ]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    base = f"http://127.0.0.1:{port}"
    with process(command, f"{base}/health", folder / "mlflow.log", quiet):
        yield base


def _checkpoint(base: str, number: int, models: int) -> Post:
    url = f"{base}/v1/models/line-{number % models}/checkpoints"
    return {
        "url": url,
        "body": {"name": f"step-{number}", "source": f"s3://ckpt/step-{number}"},
    }


def _version(base: str, number: int, models: int) -> Post:
    body = {"name": f"line-{number % models}", "source": f"s3://ckpt/step-{number}"}
    return {"url": f"{base}/api/2.0/mlflow/model-versions/create", "body": body}


def _prepare_ours(base: str, options: argparse.Namespace) -> None:
    with httpx.Client(base_url=base, timeout=60) as client:

        def post(path: str, body: dict[str, Any]) -> None:
            client.post(path, json=body).raise_for_status()

        post("/v1/corpora", {"name": "c", "documents": [{"id": "a", "text": "b"}]})
        probe = {"kind": "linear_probe", "name": "p", "site": _SITE, "weights": [1.0] * 8}
        post("/v1/feature-sets", {"name": "s", "features": [probe]})
        for model in (f"line-{index}" for index in range(options.models)):
            post("/v1/models", {"name": model})
            post(f"/v1/models/{model}/checkpoints", {"name": "base", "source": "s3://ckpt/base"})
            for index in range(options.monitors):
                monitor = {
                    "name": f"{model}-{index}",
                    "model": model,
                    "corpus": "c",
                    "feature_set": {"name": "s"},
                    "baseline": {"checkpoint": "base"},
                }
                post("/v1/monitors", monitor)


def _prepare_theirs(base: str, models: int) -> None:
    path = f"{base}/api/2.0/mlflow/registered-models/create"
    for index in range(models):
        httpx.post(path, json={"name": f"line-{index}"}, timeout=60).raise_for_status()


def _take_turns(targets: Targets, options: argparse.Namespace) -> int:
    rates: dict[str, list[float]] = {name: [] for name in targets}
    latencies: dict[str, list[float]] = {name: [] for name in targets}
    number = 0
    for turn in range(-1, options.turns):  # the first one warms up
        for name, make in targets.items():
            found = _post([make(number + i) for i in range(options.requests)], options.threads)
            if turn >= 0:
                rates[name].append(options.requests / found["seconds"])
                latencies[name].extend(found["latencies"])
        number += options.requests
    print(describe())
    for name in targets:
        ordered = sorted(latencies[name])
        p50, p99 = (1000 * ordered[int(q * (len(ordered) - 1))] for q in (0.5, 0.99))
        spread = f"{min(rates[name]):.0f} to {max(rates[name]):.0f}"
        print(
            f"{name:12}  {median(rates[name]):6.0f}/s ({spread})  p50 {p50:.1f}  p99 {p99:.1f} ms"
        )
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    tails = [sorted(latencies[name])[int(0.99 * (len(latencies[name]) - 1))] for name in rates]
    print(
        f"throughput: {median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f}) MLflow's "
        f"(wanted: {WANTED:g} at p99 no worse)"
    )
    return 0 if median(ratios) >= WANTED and tails[0] <= tails[1] else 1


def _post(posts: list[Post], threads: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.posting", str(threads)],
        input="\n".join(json.dumps(post) for post in posts),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{posts[0]['url']}: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
