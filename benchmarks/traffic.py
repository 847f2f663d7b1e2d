"""A client in a process of its own: sends requests from some threads, prints what came back.

    python -m benchmarks.traffic THREADS [SECONDS] < lines of {"kind", "method", "url", "body"}

Line i goes to thread i modulo THREADS; every thread keeps one connection. With SECONDS the lines
are gone through again and again for as long, `{n}` in a body's texts being a number never used
before; without, each is sent once. Nothing is sent again after an error: it is counted.
"""

import itertools
import json
import sys
import threading
import time
from typing import Any

import httpx

_numbers = itertools.count()


def main() -> int:
    """Send all lines; print {"seconds": whole, "answers": [[kind, status, seconds], …]}."""
    threads = int(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else None
    lines = [json.loads(line) for line in sys.stdin.read().splitlines()]
    answers: list[tuple[str, int, float]] = []
    barrier = threading.Barrier(threads + 1)

    def send(mine: list[dict[str, Any]]) -> None:
        with httpx.Client(timeout=120) as client:
            barrier.wait()
            ends = time.perf_counter() + seconds if seconds is not None else None
            for line in mine if ends is None else itertools.cycle(mine):
                began = time.perf_counter()
                if ends is not None and began >= ends:
                    return
                answers.append((line["kind"], _status(client, line), time.perf_counter() - began))

    workers = [threading.Thread(target=send, args=(lines[i::threads],)) for i in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    print(json.dumps({"seconds": time.perf_counter() - began, "answers": answers}))
    return 0


def _status(client: httpx.Client, line: dict[str, Any]) -> int:
    """The status of the answer; 0 when there was none."""
    body = line.get("body")
    if body is not None:
        body = {
            name: value.replace("{n}", str(next(_numbers))) if isinstance(value, str) else value
            for name, value in body.items()
        }
    try:
        return client.request(line["method"], line["url"], json=body).status_code
    except httpx.TransportError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
