"""Keys with real processes: the bind rule, the command line, and what the logs say."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.core.key_text import is_whole, new_key
from tests.integration.access.conftest import PEPPER
from tests.integration.embedded.up import command, environment

ANYWHERE = "0.0.0.0"  # noqa: S104 - what needs keys


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(**settings),
    )


@pytest.fixture
def configured(database_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "FEATUREDRIFT_KEY_PEPPER": PEPPER,
        "FEATUREDRIFT_DATA_DIR": str(tmp_path),
        "FEATUREDRIFT_LOG_LEVEL": "debug",
    }


@contextmanager
def serving(log: Path, **settings: str) -> Iterator[str]:
    """The API on every address of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    with log.open("wb") as output:
        process = subprocess.Popen(
            command("api", "--host", ANYWHERE, "--port", str(port)),
            stdout=output,
            stderr=output,
            env=environment(**settings),
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "it did not become ready"
            try:
                if httpx.get(f"{url}/readyz", trust_env=False).is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def get(url: str, key: str | None) -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.get(f"{url}/v1/models", headers=headers, trust_env=False).status_code


def test_beyond_loopback_it_needs_a_pepper_and_a_key(configured: dict[str, str]) -> None:
    without = {name: value for name, value in configured.items() if "PEPPER" not in name}

    no_pepper = run("api", "--host", ANYWHERE, **without)
    no_key = run("api", "--host", ANYWHERE, **configured)

    assert no_pepper.returncode == no_key.returncode == 1
    assert "set FEATUREDRIFT_KEY_PEPPER" in no_pepper.stderr
    assert "featuredrift keys create" in no_key.stderr
    assert "FEATUREDRIFT_BOOTSTRAP_KEY" in no_key.stderr


def test_a_key_of_the_command_line_opens_it_and_no_log_has_it(
    configured: dict[str, str], tmp_path: Path
) -> None:
    made = run("keys", "create", "ada", "--scope", "admin", **configured)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert is_whole(key)
    bootstrap, wrong, typo = new_key(), new_key(), new_key()[:-1] + "x"
    log = tmp_path / "api.log"

    with serving(log, **configured, FEATUREDRIFT_BOOTSTRAP_KEY=bootstrap) as url:
        assert get(url, None) == 401
        assert get(url, key) == get(url, bootstrap) == 200
        assert get(url, wrong) == get(url, typo) == 401
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "one"}
        body = {"name": "ci", "scope": "write", "expires_at": "2999-01-01T00:00:00Z"}
        path = f"{url}/v1/api-keys"
        second = httpx.post(path, json=body, headers=headers, trust_env=False).json()["key"]
        assert get(url, second) == 200
        # Where a key does not belong, and is sent nevertheless.
        odd = httpx.get(f"{url}/v1/{key}", params={"key": second}, headers=headers, trust_env=False)
        assert odd.status_code == 404
        checked = subprocess.run(
            command("check", "nothing", "here", "--url", url),
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(FEATUREDRIFT_API_KEY=second),
        )
        assert "there is no model 'nothing'" in checked.stderr
        revoked = run("keys", "revoke", "ci", "--note", "done", **configured)
        assert revoked.returncode == 0, revoked.stderr
        assert get(url, second) == 401
        settings = run("settings", **configured, FEATUREDRIFT_BOOTSTRAP_KEY=bootstrap)

    said = log.read_text() + settings.stdout + settings.stderr + revoked.stdout + revoked.stderr
    said += checked.stdout + checked.stderr
    assert '"status": 401' in said
    for secret in (key, bootstrap, wrong, typo, second, PEPPER):
        assert secret not in said
        # Nor most of it.
        assert secret[10:40] not in said


def test_keys_are_listed_rotated_and_revoked(configured: dict[str, str]) -> None:
    first = run("keys", "create", "ci", "--scope", "write", "--expires-in", "90d", **configured)
    rotated = run("keys", "rotate", "ci", "--overlap", "1h", "--json", **configured)
    listed = run("keys", "list", "--json", **configured)

    assert first.returncode == rotated.returncode == listed.returncode == 0
    shown = json.loads(rotated.stdout)
    assert is_whole(shown["key"])
    assert shown["key"] != first.stdout.strip()
    (row,) = json.loads(listed.stdout)
    assert (row["name"], row["scope"], row["models"]) == ("ci", "write", None)
    assert row["expires_at"] is not None
    assert row["previous_expires_at"] is not None
    assert "key" not in row
    revoked = json.loads(run("keys", "revoke", row["id"], "--json", **configured).stdout)
    assert revoked["id"] == row["id"]
    assert revoked["revoked_at"] is not None
    assert json.loads(run("keys", "list", "--json", **configured).stdout) == []
    assert len(json.loads(run("keys", "list", "--all", "--json", **configured).stdout)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "a b"), "name:"),
        (("create", "ci", "--scope", "root"), "scope:"),
        (("create", "ci", "--expires-in", "soon"), "'soon' is no duration"),
        (("create", "ci", "--model", "nothing"), "there is no model 'nothing'"),
        (("rotate", "nobody"), "There is no working key 'nobody'"),
        (("revoke", "nobody"), "There is no working key 'nobody'"),
    ],
)
def test_a_mistake_costs_one_clear_line(
    configured: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    result = run("keys", *arguments, **configured)

    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_deployment_without_a_pepper_is_told_to_set_one(configured: dict[str, str]) -> None:
    without = {name: value for name, value in configured.items() if "PEPPER" not in name}

    result = run("keys", "create", "ci", **without)

    assert result.returncode == 1
    assert "FEATUREDRIFT_KEY_PEPPER" in result.stderr


def test_without_a_database_it_says_where_to_find_one(tmp_path: Path) -> None:
    result = run("keys", "list", FEATUREDRIFT_DATA_DIR=str(tmp_path))

    assert result.returncode == 1
    assert "No Postgres runs on" in result.stderr
