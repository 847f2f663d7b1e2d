"""A service with a model, a dictionary and a labelled corpus, and a terminal before it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from app.cli import suggest as command
from app.client import Client
from app.core.ids import new_id
from app.embedded.environment import child_environment
from app.embedded.redis import RedisServer
from app.settings import Settings, get_settings
from app.suggestions.process import Step, SuggestionError
from tests.integration.cli.commands import Terminal
from tests.integration.suggest.world import build, documents
from tests.support.line import TINY
from tests.support.serving import serving


@pytest.fixture(scope="session")
def service(
    postgres_url: str, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Settings]]:
    """The URL and settings of a service that knows the model, the dictionary and the corpus."""
    folder = tmp_path_factory.mktemp("suggest")
    build(folder / "models")
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
        model_roots=(folder / "models",),
        **TINY,
    )
    with capture_logs(), serving(settings) as address, Client(address) as client:
        client.models.create("bot")
        client.checkpoints.register("bot", "base", str(folder / "models" / "marked"))
        client.aliases.put("bot", "baseline", "base")
        client.dictionaries.create("layer-1", str(folder / "models" / "marked-dictionary"))
        lines = "".join(f"{json.dumps(document)}\n" for document in documents())
        client.corpora.create("probes", lines=lines.encode())
        yield address, settings
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def line(
    service: tuple[str, Settings],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Terminal]:
    """A terminal whose commands ask the service, with the service's own settings around it."""
    for name, value in child_environment(service[1]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FEATUREDRIFT_API_KEY", raising=False)
    monkeypatch.setenv("FEATUREDRIFT_URL", service[0])
    get_settings.cache_clear()
    yield Terminal(monkeypatch, capsys)
    get_settings.cache_clear()


@pytest.fixture
def here(line: Terminal, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """The same, where suggestions are made in this process, which has torch in memory already."""
    monkeypatch.setattr(command, "run_suggestion", suggest_here)
    return line


def suggest_here(request: dict[str, Any], step: Step) -> dict[str, Any]:
    """What `run_suggestion` has a process do."""
    from workers.errors import EvaluationError
    from workers.suggest.__main__ import answer

    get_settings.cache_clear()
    try:
        return answer(json.dumps(request).encode(), step)
    except EvaluationError as error:
        raise SuggestionError(error.detail) from None
