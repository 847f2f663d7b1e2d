"""Random dictionaries, made once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.dictionaries import save_dictionary
from workers.features.dictionaries import DictionarySource, load_dictionary

MakeDictionary = Callable[..., DictionarySource]


@pytest.fixture
def dictionary(tmp_path: Path) -> MakeDictionary:
    """Save and load a random dictionary."""

    def make(architecture: str = "standard", name: str = "sae", **options: Any) -> DictionarySource:
        folder = save_dictionary(tmp_path / name, architecture, **options)
        return load_dictionary(name, str(folder), roots=[tmp_path], cache=tmp_path / "cache")

    return make
