"""A service with its worker, and a terminal before it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.embedded.environment import child_environment
from app.settings import Settings, get_settings
from tests.integration.cli.commands import Terminal
from tests.integration.suggest.world import build
from tests.support.line import TINY
from tests.support.serving import serving


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of the checkpoint and of the dictionary."""
    return build(tmp_path_factory.mktemp("suggest"))


@pytest.fixture
def service(settings: Settings, built: tuple[Path, Path]) -> Settings:
    """Settings for small models; both folders lie under the allowed root."""
    for folder in built:
        shutil.copytree(folder, settings.allowed_roots[0] / folder.name)
    return settings.model_copy(update=dict(TINY))


@pytest.fixture
def terminal(
    service: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    """A terminal whose commands ask a real API, with the service's own settings around it."""
    for name, value in child_environment(service).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FEATUREDRIFT_API_KEY", raising=False)
    get_settings.cache_clear()
    with capture_logs(), serving(service) as url:
        monkeypatch.setenv("FEATUREDRIFT_URL", url)
        yield Terminal(monkeypatch, capsys)
    get_settings.cache_clear()
