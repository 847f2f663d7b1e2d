"""`featuredrift up` with keys: the first is made beside it, and no process logs any."""

import subprocess
import tempfile
from pathlib import Path

import httpx

from app.core.key_text import is_whole, new_key
from tests.integration.embedded.up import command, environment, running_up


def test_the_embedded_server_can_need_keys() -> None:
    with tempfile.TemporaryDirectory(
        prefix="featuredrift-tests-", ignore_cleanup_errors=True
    ) as folder:
        data_dir = Path(folder) / "data"
        with running_up(data_dir, FEATUREDRIFT_REQUIRE_KEYS="true") as up:
            made = subprocess.run(
                command("keys", "create", "ada", "--scope", "admin"),
                capture_output=True,
                text=True,
                timeout=60,
                env=environment(FEATUREDRIFT_DATA_DIR=str(data_dir)),
            )
            assert made.returncode == 0, made.stderr
            key, wrong = made.stdout.strip(), new_key()
            assert is_whole(key)

            def ask(**headers: str) -> int:
                url = f"{up.base_url}/v1/models"
                return httpx.get(url, headers=headers, trust_env=False).status_code

            assert ask() == 401
            assert ask(Authorization=f"Bearer {wrong}") == 401
            assert ask(Authorization=f"Bearer {key}") == 200
            pepper = (data_dir / "key_pepper").read_text().strip()
            assert up.stop() == 0
        logs = sorted((data_dir / "logs").glob("*.log"))
        said = "".join(path.read_text() for path in (*logs, up.output))

    assert {"api", "dispatcher", "postgres", "redis", "worker"} <= {path.stem for path in logs}
    assert '"status": 401' in said
    for secret in (key, wrong, pepper):
        assert secret not in said
        assert secret[10:40] not in said
