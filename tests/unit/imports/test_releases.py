"""SAELens's directory of releases."""

import pytest

from app.imports import ImportRefusedError
from app.imports.catalog import Catalog, Listed, catalog
from workers.imports.release import describe_release


def test_the_directory_is_that_of_saelens() -> None:
    from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

    theirs = {
        (release, sae_id, lookup.repo_id, folder, lookup.neuronpedia_id[sae_id])
        for release, lookup in get_pretrained_saes_directory().items()
        for sae_id, folder in lookup.saes_map.items()
    }
    ours = {
        (one.release, one.sae_id, one.repository, one.folder, one.neuronpedia)
        for saes in catalog().releases.values()
        for one in saes.values()
    }
    assert ours == theirs


def test_a_slip_in_a_release_is_answered_with_the_nearest() -> None:
    listed = Listed("res-jb", "blocks.6", "o/r", "f", "m", None)
    known = Catalog({"res-jb": {"blocks.6": listed}}, {})
    assert known.find("res-jb", "blocks.6") == listed
    assert known.find("owner/repository", "folder") is None
    with pytest.raises(ImportRefusedError, match=r"did you mean res-jb\?"):
        known.find("res-jd", "blocks.6")
    with pytest.raises(ImportRefusedError, match=r"the nearest are blocks\.6"):
        known.find("res-jb", "block.6")


def test_what_is_in_another_format_is_read_by_saelens_itself() -> None:
    found = describe_release("gemma-scope-2b-pt-res-canonical", "layer_20/width_16k/canonical")
    assert found == {
        "repository": "google/gemma-scope-2b-pt-res",
        "folder": "layer_20/width_16k/average_l0_71",
        "site": "blocks.20.hook_resid_post",
        "head": None,
        "architecture": "jumprelu",
        "d_in": 2304,
        "d_sae": 16384,
    }
