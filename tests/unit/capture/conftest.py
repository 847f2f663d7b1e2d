"""One checkpoint per family, made once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.support.models import save_checkpoint
from workers.capture.checkpoints import ResolvedCheckpoint, resolve_checkpoint
from workers.capture.loading import LoadedModel, load_model
from workers.capture.numerics import detect_numerics


@pytest.fixture(scope="session")
def model_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one folder that checkpoints may lie under."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def resolve(model_root: Path) -> Callable[..., ResolvedCheckpoint]:
    """Resolve a folder under `model_root`."""

    def run(path: Path | str, revision: str | None = None) -> ResolvedCheckpoint:
        return resolve_checkpoint(
            str(path), revision, roots=[model_root], cache=model_root.parent / "cache"
        )

    return run


@pytest.fixture(scope="session")
def checkpoint(
    model_root: Path, resolve: Callable[..., ResolvedCheckpoint]
) -> Callable[[str], ResolvedCheckpoint]:
    """A random checkpoint of a family."""

    @cache
    def make(family: str) -> ResolvedCheckpoint:
        return resolve(save_checkpoint(model_root / family, family))

    return make


@pytest.fixture(scope="session")
def loaded(checkpoint: Callable[[str], ResolvedCheckpoint]) -> Callable[[str], LoadedModel]:
    """A family's random checkpoint in memory, in float32."""

    @cache
    def load(family: str, attention: str = "eager") -> LoadedModel:
        resolved = checkpoint(family)
        return load_model(resolved, detect_numerics("float32", attention, "cpu", 1, resolved))

    return load
