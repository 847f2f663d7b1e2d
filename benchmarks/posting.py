"""A client in a process of its own: posts bodies from some threads, prints latencies as JSON.

    python -m benchmarks.posting THREADS < lines of {"url": …, "body": …}

Line i goes to thread i modulo THREADS; every thread keeps one connection.
"""

import json
import sys
import threading
import time

import httpx


def main() -> int:
    """Post all lines; print {"seconds": whole, "latencies": [...]}."""
    threads = int(sys.argv[1])
    lines = [json.loads(line) for line in sys.stdin.read().splitlines()]
    posts = [(line["url"], json.dumps(line["body"]).encode()) for line in lines]
    latencies: list[float] = []
    failures: list[str] = []
    barrier = threading.Barrier(threads + 1)

    def post(mine: list[tuple[str, bytes]]) -> None:
        with httpx.Client(timeout=120, headers={"content-type": "application/json"}) as client:
            barrier.wait()
            for url, body in mine:
                began = time.perf_counter()
                answer = client.post(url, content=body)
                latencies.append(time.perf_counter() - began)
                if answer.is_error:
                    failures.append(f"{answer.status_code}: {answer.text[:300]}")
                    return

    workers = [threading.Thread(target=post, args=(posts[i::threads],)) for i in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    whole = time.perf_counter() - began
    if failures:
        sys.stderr.write(f"{failures[0]}\n")
        return 1
    print(json.dumps({"seconds": whole, "latencies": latencies}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
