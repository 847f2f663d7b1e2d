"""A terminal, and the API that its commands ask."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.settings import Settings
from tests.integration.cli.commands import Terminal
from tests.support.serving import serving


@pytest.fixture
def terminal(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    """A terminal whose commands ask a real API with a database of the test's own."""
    monkeypatch.delenv("FEATUREDRIFT_API_KEY", raising=False)
    # The API of this process would log to the stdout of the commands.
    with capture_logs(), serving(settings) as url:
        monkeypatch.setenv("FEATUREDRIFT_URL", url)
        yield Terminal(monkeypatch, capsys)
