"""The API as a process: a stop answers those who wait."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
from fastapi.testclient import TestClient

from app.core.reachable import listen
from app.settings import Settings
from tests.support.api import register_checkpoint, register_line

GATE = "/v1/models/bot/checkpoints/next/gate"


def test_a_stop_answers_waiting_requests_with_what_holds_now(
    client: TestClient, settings: Settings
) -> None:
    register_line(client, settings)
    register_checkpoint(client, settings, "next")
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    environment = {**os.environ, "DATABASE_URL": settings.database_url}
    environment["FEATUREDRIFT_DATA_DIR"] = str(settings.data_dir)
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "api", "--listen-fd", str(listener.fileno())],
        pass_fds=[listener.fileno()],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    listener.close()
    try:
        with httpx.Client(base_url=url, timeout=120) as remote, ThreadPoolExecutor(1) as pool:
            assert remote.get("/healthz").status_code == 200
            waiting = pool.submit(remote.get, f"{GATE}?wait=60s")
            time.sleep(1.0)
            assert not waiting.done()
            process.send_signal(signal.SIGTERM)
            answer = waiting.result(60)
        assert answer.status_code == 200
        assert answer.json()["gate"] == "pending"
        process.wait(60)
    finally:
        process.kill()
        process.wait()
