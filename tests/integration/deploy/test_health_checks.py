"""The stack's health checks, as it runs them, tell a sound surrounding from a broken one."""

import subprocess
import sys

import pytest

from app.embedded.redis import RedisServer
from tests.integration.embedded.up import environment
from tests.unit.deploy import compose

NOWHERE = {
    "DATABASE_URL": "postgresql://someone@127.0.0.1:1/nothing",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}
SERVICES = compose.load()["services"]


def check(service: str, **variables: str) -> int:
    test: list[str] = SERVICES[service]["healthcheck"]["test"]
    assert test[:2] == ["CMD", "python"]
    return subprocess.run(
        [sys.executable, *test[2:]],
        capture_output=True,
        timeout=60,
        env=environment(**variables),
    ).returncode


@pytest.mark.parametrize("service", ["dispatcher", "worker", "gpu-worker"])
def test_what_the_process_needs_answers(
    service: str, database_url: str, redis_server: RedisServer
) -> None:
    assert check(service, DATABASE_URL=database_url, REDIS_URL=redis_server.url) == 0


@pytest.mark.parametrize("away", NOWHERE)
def test_what_the_process_needs_is_away(
    away: str, database_url: str, redis_server: RedisServer
) -> None:
    urls = {"DATABASE_URL": database_url, "REDIS_URL": redis_server.url}

    assert check("worker", **urls | {away: NOWHERE[away]}) != 0


@pytest.mark.parametrize("service", ["api", "exporter"])
def test_nobody_listens(service: str) -> None:
    assert check(service) != 0
