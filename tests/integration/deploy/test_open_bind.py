"""In a container the API listens on every address: only when told to, and not without a word."""

import json
import socket
import subprocess
import time

import httpx

from tests.integration.embedded.up import command, environment

ANYWHERE = "0.0.0.0"  # noqa: S104 - what a container's server must listen on


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_the_refusal_names_the_setting() -> None:
    result = subprocess.run(
        command("api", "--host", ANYWHERE),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )

    assert result.returncode == 1
    assert "FEATUREDRIFT_ALLOW_UNAUTHENTICATED_BIND=true" in result.stderr


def test_embedded_servers_stay_on_loopback_whatever_is_set() -> None:
    result = subprocess.run(
        command("up", "--host", ANYWHERE),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(FEATUREDRIFT_ALLOW_UNAUTHENTICATED_BIND="true"),
    )

    assert result.returncode == 1
    assert "Refusing to listen" in result.stderr
    assert "FEATUREDRIFT_ALLOW_UNAUTHENTICATED_BIND" not in result.stderr


def test_allowed_it_serves_and_warns(database_url: str) -> None:
    port = free_port()
    process = subprocess.Popen(
        command("api"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(
            DATABASE_URL=database_url,
            FEATUREDRIFT_HOST=ANYWHERE,
            FEATUREDRIFT_PORT=str(port),
            FEATUREDRIFT_ALLOW_UNAUTHENTICATED_BIND="true",
        ),
    )
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}/readyz")
    finally:
        process.terminate()
        _, log = process.communicate(timeout=30)

    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    warnings = [line for line in lines if "without authentication" in line["event"]]
    assert [(line["level"], line["host"]) for line in warnings] == [("warning", ANYWHERE)]


def wait_until_ready(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the API ended"
        try:
            if httpx.get(url, trust_env=False, timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"{url} did not become ready")
