"""An exporter that takes a reading when it is told to."""

from collections.abc import Iterator

import pytest

from app.exporter.server import Exporter
from app.settings import Settings


@pytest.fixture
def exporter(settings: Settings) -> Iterator[Exporter]:
    exporter = Exporter(settings)
    yield exporter
    exporter.refresher.close()
