"""A data directory that Postgres can use whoever runs the tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder that does not exist yet; see `servers_dir` for why it is not pytest's own."""
    with tempfile.TemporaryDirectory(
        prefix="featuredrift-tests-", ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder) / "data"
