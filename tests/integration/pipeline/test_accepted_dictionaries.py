"""Dictionaries that an accepted repair left in the artifact store, as a worker finds them."""

from pathlib import Path

import pytest

from app.core.artifacts import ArtifactStore
from app.registry.tables import Dictionary
from app.repairs.writing import store_dictionary
from tests.support.api import SITE
from tests.support.dictionaries import save_dictionary
from workers.errors import EvaluationError
from workers.pipeline.sources import DictionarySources


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_workers_find_an_accepted_dictionary_whole_or_not_at_all(
    tmp_path: Path, scheme: str
) -> None:
    store = ArtifactStore(f"{scheme}://{tmp_path}/store", tmp_path / "downloads")
    folder = save_dictionary(tmp_path / "sae", "jumprelu", site=SITE)
    proposed = store_dictionary(store, folder, name="new", site=SITE)
    row = Dictionary(
        name="new",
        site=SITE,
        source=f"artifact:{proposed.artifact}",
        digest=proposed.digest,
        d_sae=proposed.d_sae,
    )
    cache = tmp_path / "cache"

    def sources() -> DictionarySources:
        return DictionarySources(roots=[], cache=cache, allow_hub=False, store=store)

    found = sources().find(row)
    assert (found.digest, found.d_sae, found.site) == (proposed.digest, proposed.d_sae, SITE)
    assert found.path.is_relative_to(cache)
    store.delete_prefix(f"{proposed.artifact}/cfg.json")
    assert sources().find(row) == found

    row.source = "artifact:dictionaries/none"
    with pytest.raises(EvaluationError, match="no whole dictionary under 'dictionaries/none'"):
        sources().find(row)
    assert len(list((cache / "dictionaries").iterdir())) == 1
    store.write_bytes("dictionaries/other/cfg.json", (folder / "cfg.json").read_bytes() + b" ")
    store.write_bytes(
        "dictionaries/other/sae_weights.safetensors",
        (folder / "sae_weights.safetensors").read_bytes(),
    )
    row.source = "artifact:dictionaries/other"
    with pytest.raises(EvaluationError, match="never changes"):
        sources().find(row)
