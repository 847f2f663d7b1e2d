"""A running service, beside a stand-in of the hub."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from app.client import Client
from app.core.ids import new_id
from app.embedded.redis import RedisServer
from app.settings import Settings
from tests.integration.cli.commands import Terminal
from tests.integration.imports.hub import Hub, serving_hub
from tests.support.deployment import SITE, save_dictionary
from tests.support.models import save_checkpoint
from tests.support.serving import serving

RELEASE, SAE_ID = "gpt2-small-res-jb", "blocks.1.hook_resid_pre"
REPOSITORY = "jbloom/GPT2-Small-SAEs-Reformatted"
OWN = "acme/saes"


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub with a tiny dictionary in place of a real one, and another of somebody's own."""
    root = tmp_path_factory.mktemp("hub")
    # The release is older than SAELens 6, and its configurations are too.
    save_dictionary(root / REPOSITORY / SAE_ID)
    old = {"hook_point": SAE_ID, "hook_point_layer": 1, "d_in": 16, "d_sae": 24}
    (root / REPOSITORY / SAE_ID / "cfg.json").write_text(json.dumps(old))
    for name, site in (("first", SITE), ("norm", "blocks.1.ln2.hook_normalized")):
        config = save_dictionary(root / OWN / name) / "cfg.json"
        body = json.loads(config.read_text())
        body["metadata"] = {"hook_name": site, "sae_lens_version": "6.54.12"}
        config.write_text(json.dumps(body))
    with serving_hub(root) as hub, pytest.MonkeyPatch.context() as patch:
        # For processes that are started from now on: this one has read them already.
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_OFFLINE", "0")
        patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub-cache")))
        yield hub


@pytest.fixture(scope="module")
def service(
    hub: Hub,
    postgres_url: str,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Settings]]:
    """The URL and settings of a running service, whose work nobody does yet."""
    folder = tmp_path_factory.mktemp("service")
    models = folder / "models"
    models.mkdir()
    save_checkpoint(models / "base", family="gpt2")
    save_checkpoint(models / "next", family="gpt2", seed=1)
    save_dictionary(models / "sae")
    name = f"test_{new_id().hex}"
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template"))
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    settings = Settings(
        DATABASE_URL=url,
        REDIS_URL=redis_server.url,
        queue=name,
        data_dir=folder,
        model_roots=(models,),
        allow_hub=True,
        max_body_bytes=1 << 20,
        threads=1,
        sequence_length=64,
        batch_tokens=512,
        tokens_per_shard=1024,
    )
    with capture_logs(), serving(settings) as address:
        yield address, settings
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def terminal(
    service: tuple[str, Settings],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Terminal:
    """A terminal in an empty folder, whose commands ask the service."""
    monkeypatch.delenv("FEATUREDRIFT_API_KEY", raising=False)
    monkeypatch.setenv("FEATUREDRIFT_URL", service[0])
    monkeypatch.chdir(tmp_path)
    assert list(tmp_path.iterdir()) == []
    return Terminal(monkeypatch, capsys)


@pytest.fixture
def client(service: tuple[str, Settings]) -> Iterator[Client]:
    """A client of the service."""
    with Client(service[0]) as client:
        yield client
