"""A rolling upgrade: the last release's processes on a database that this release has migrated."""

import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, create_engine

from app.core.migrate import downgrade, upgrade
from app.embedded.environment import child_environment
from app.settings import Settings
from tests.support.deployment import CONTROLS_TO_CHOOSE, documents, features_of_all_kinds, wait_for
from tests.support.models import save_checkpoint

ROOT = Path(__file__).parents[2]
_TRIED = 20
"""Commits that are looked at for one that starts."""


@pytest.fixture(scope="module")
def last_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest code from before the newest migration that starts.

    As long as nothing is released, that is the last release.
    """
    newest = sorted(_git("ls-files", "migrations/versions/0*.py").split())[-1:]
    added = _git("log", "--diff-filter=A", "--format=%H", "--", *newest).split() if newest else []
    folder = tmp_path_factory.mktemp("last-release")
    for before in (
        _git("rev-list", f"--max-count={_TRIED}", f"{added[0]}~1").split() if added else ()
    ):
        _extract(before, folder / before)
        if _starts(folder / before):
            return folder / before
    pytest.skip(f"no history that goes back to before {newest or 'any migration'}")


def _extract(commit: str, folder: Path) -> None:
    archive = subprocess.run(
        ["git", "archive", commit, "app", "workers", "migrations"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")


def _starts(code: Path) -> bool:
    """A commit between two others may lack a part; a release does not."""
    return not subprocess.run(
        [sys.executable, "-c", "import app.cli, app.main, workers.celery_app"],
        cwd=code,
        capture_output=True,
    ).returncode


@pytest.fixture
def not_yet_migrated(settings: Settings) -> Engine:
    """The test's database as the last release has made it."""
    engine = create_engine(settings.database_url)
    downgrade(engine, "-1")
    return engine


def test_the_last_release_works_on_the_migrated_database(
    settings: Settings, not_yet_migrated: Engine, last_release: Path, tmp_path: Path
) -> None:
    quick = settings.model_copy(
        update={"threads": 1, "sequence_length": 64, "batch_tokens": 512, "lease_seconds": 20.0}
    )
    with ExitStack() as old:
        url = old.enter_context(_api(last_release, quick, tmp_path))
        for name in ("dispatcher", "worker"):
            old.enter_context(_process(last_release, name, quick, tmp_path))
        logs = tmp_path / f"{last_release.name[:12]}-worker.log"
        wait_for(lambda: "ready" in logs.read_text(), 120)
        upgrade(not_yet_migrated)
        not_yet_migrated.dispose()
        with httpx.Client(base_url=f"{url}/v1", timeout=30) as client:
            _register(client, settings.allowed_roots[0])
            first = _evaluate(client, settings.allowed_roots[0], "one")
            verdicts = client.get(f"/evaluations/{first}/verdicts").json()["items"]
        assert {one["feature"] for one in verdicts} == {"direction", "neuron", "probe"}
        # Half way: this release's worker and API beside the last one's, on one queue.
        with (
            _process(ROOT, "worker", quick, tmp_path),
            _api(ROOT, quick, tmp_path) as newer,
            httpx.Client(base_url=f"{newer}/v1", timeout=30) as client,
        ):
            second = _evaluate(client, settings.allowed_roots[0], "two")
            after = client.get(f"/evaluations/{first}/verdicts").json()["items"]
            again = client.get(f"/evaluations/{second}/verdicts").json()["items"]
            with httpx.Client(base_url=f"{url}/v1", timeout=30) as older:
                seen = older.get(f"/evaluations/{second}/verdicts").json()["items"]
    known = verdicts[0].keys() & after[0].keys()
    assert [{key: one[key] for key in known} for one in after] == [
        {key: one[key] for key in known} for one in verdicts
    ]
    assert _effects(seen) == _effects(again)
    # The weights are the same.
    assert _effects(again) == _effects(verdicts)


def _effects(verdicts: list[dict[str, Any]]) -> dict[str, float]:
    """Beside the pinned baseline; the second checkpoint has a previous one, too."""
    return {one["feature"]: one["effect"] for one in verdicts if one["comparison"] == "baseline"}


def _register(client: httpx.Client, root: Path) -> None:
    features = [
        one
        for one in features_of_all_kinds("none")
        if one["kind"] in ("linear_probe", "direction", "neuron")
    ]
    for path, body in (
        ("models", {"name": "bot"}),
        ("corpora", {"name": "probes", "documents": documents()}),
        ("feature-sets", {"name": "set", "features": features}),
        (
            "models/bot/checkpoints",
            {"name": "base", "source": str(save_checkpoint(root / "base"))},
        ),
    ):
        _checked(client.post(f"/{path}", json=body))
    _checked(client.put("/models/bot/aliases/baseline", json={"checkpoint": "base"}))
    monitor = {
        "name": "watch",
        "model": "bot",
        "corpus": "probes",
        "feature_set": {"name": "set"},
        "baseline": {"alias": "baseline"},
        "policy": {
            "min_active_documents": 5,
            "controls": dict.fromkeys(CONTROLS_TO_CHOOSE, False),
            "baselines": False,
            "diagnosis": False,
        },
    }
    _checked(client.post("/monitors", json=monitor))


def _evaluate(client: httpx.Client, root: Path, name: str) -> str:
    source = save_checkpoint(root / name, seed=1)
    _checked(client.post("/models/bot/checkpoints", json={"name": name, "source": str(source)}))
    (found,) = client.get("/evaluations", params={"checkpoint": name, "model": "bot"}).json()[
        "items"
    ]
    path = f"/evaluations/{found['id']}"
    asked = {"wait": "20s"}
    wait_for(
        lambda: client.get(path, params=asked).json()["state"] not in ("queued", "running"), 200
    )
    ended = client.get(path).json()
    assert ended["state"] == "succeeded", ended["error"]
    identity: str = found["id"]
    return identity


def _checked(response: httpx.Response) -> None:
    assert response.is_success, response.text


@contextmanager
def _api(code: Path, settings: Settings, folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    # One client: each new one reads all certificates of the machine.
    with (
        _process(code, "api", settings, folder, "--port", str(port)),
        httpx.Client(base_url=url) as client,
    ):

        def answers() -> bool:
            try:
                return client.get("/healthz").is_success
            except httpx.TransportError:
                return False

        wait_for(answers, 120)
        yield url


@contextmanager
def _process(
    code: Path, name: str, settings: Settings, folder: Path, *arguments: str
) -> Iterator[None]:
    environment: Mapping[str, str] = {**child_environment(settings), "PYTHONPATH": str(code)}
    with (folder / f"{code.name[:12]}-{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", name, *arguments],
            cwd=code,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _git(*arguments: str) -> str:
    """What git says, or nothing where there is no history or no git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""
