"""What the tests of comparisons share."""

from pathlib import Path

import pytest

from app.core.artifacts import ArtifactStore
from tests.unit.comparison.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(ArtifactStore(tmp_path.as_uri()))
