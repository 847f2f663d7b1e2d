"""Neuronpedia's lists as latents of registered dictionaries."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.clock import now
from app.core.ids import new_id
from app.imports import ImportRefusedError
from app.imports.catalog import catalog
from app.imports.neuronpedia import Entry, advice, map_list, read_list
from app.registry.schemas.dictionaries import DictionaryOut
from tests.unit.imports.values import SITE


def neuron(layer: str, index: str, description: str = "", explained: str = "") -> dict[str, Any]:
    """One of `neurons` as `POST /api/list/get` answers."""
    return {
        "modelId": "gpt2-small",
        "layer": layer,
        "index": index,
        "listId": "cl",
        "userId": "u",
        "addedAt": "2025-01-01T00:00:00.000Z",
        "description": description or None,
        "neuron": {
            "modelId": "gpt2-small",
            "layer": layer,
            "index": index,
            "sourceSetName": layer.partition("-")[2] or None,
            "explanations": [{"description": explained}] if explained else [],
            "activations": [],
        },
    }


def dictionary(name: str, **values: Any) -> DictionaryOut:
    empty: dict[str, Any] = dict.fromkeys(
        ("description", "source", "release", "sae_id", "digest", "architecture", "d_in", "d_sae")
    )
    return DictionaryOut(
        **{"id": new_id(), "name": name, "site": SITE, "created_at": now(), **empty, **values}
    )


RELEASED = {"release": "gpt2-small-res-jb", "sae_id": "blocks.6.hook_resid_pre"}


def test_a_list_is_read_as_the_site_gives_it(tmp_path: Path) -> None:
    body = {
        "id": "cl",
        "name": "my list",
        "activations": [],
        "neurons": [
            neuron("6-res-jb", "650", "mine", "theirs"),
            neuron("6-res-jb", "17", "", "theirs"),
            neuron("6-res-jb", "650"),
            neuron("3", "9"),
        ],
    }
    path = tmp_path / "list.json"
    path.write_text(json.dumps(body))
    found = read_list(path)
    assert found.name == "my list"
    assert [(entry.id, entry.description) for entry in found.entries] == [
        ("gpt2-small/6-res-jb/650", "mine"),
        ("gpt2-small/6-res-jb/17", "theirs"),
        ("gpt2-small/3/9", None),
    ]
    assert found.notes == [
        "gpt2-small/6-res-jb/650 stands there twice (entries 1 and 3); it is taken once"
    ]
    mapped = map_list(
        found.entries,
        [dictionary("six", d_sae=1000, **RELEASED)],
        catalog(),
        concepts={"6-res-jb.17": "seventeen", "gpt2-small/3/9": "nine"},
    )
    assert mapped.missing == {}
    assert mapped.features == [
        {
            "kind": "sae_latent",
            "name": "6-res-jb.650",
            "dictionary": "six",
            "index": 650,
            "description": "mine (Neuronpedia gpt2-small/6-res-jb/650)",
        },
        {
            "kind": "sae_latent",
            "name": "6-res-jb.17",
            "dictionary": "six",
            "index": 17,
            "concept": "seventeen",
            "description": "theirs (Neuronpedia gpt2-small/6-res-jb/17)",
        },
        {
            "kind": "neuron",
            "name": "3.9",
            "site": "blocks.3.mlp.hook_post",
            "index": 9,
            "concept": "nine",
            "description": "Neuronpedia gpt2-small/3/9",
        },
    ]


@pytest.mark.parametrize(
    "body",
    [
        ["gpt2-small/6-res-jb/650", "https://www.neuronpedia.org/gpt2-small/6-res-jb/17"],
        [
            {"modelId": "gpt2-small", "layer": "6-res-jb", "index": "650"},
            {"model": "gpt2-small", "source": "6-res-jb", "index": 17},
        ],
        {
            "name": "n",
            "features": [
                {"modelId": "gpt2-small", "layer": "6-res-jb", "index": 650, "description": "d"},
                {"modelId": "gpt2-small", "layer": "6-res-jb", "index": 17},
            ],
        },
    ],
)
def test_other_forms_of_a_list(tmp_path: Path, body: Any) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(body))
    assert [entry.id for entry in read_list(path).entries] == [
        "gpt2-small/6-res-jb/650",
        "gpt2-small/6-res-jb/17",
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "is not JSON"),
        ("{}", "holds no list of features"),
        ("[]", "the list is empty"),
        ("[3]", "entry 1: is 3, neither an object nor an id"),
        ('["a/b"]', "entry 1: 'a/b' is no id of a feature"),
        ('[{"layer": "6-res-jb", "index": 1}]', "entry 1: modelId is None"),
        ('["m/1-x/3", {"modelId": "m", "layer": "1-x", "index": "-1"}]', "entry 2: index is '-1'"),
        ('[{"modelId": "m", "layer": "1-x", "index": true}]', "index is True"),
        ('["m/1-x/1234567890123"]', "index is '1234567890123'"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, body: str, said: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(body)
    with pytest.raises(ImportRefusedError) as caught:
        read_list(path)
    assert said in caught.value.detail


def test_a_source_that_is_not_registered_is_reported_with_what_to_do() -> None:
    entries = [Entry(1, "gpt2-small", "6-res-jb", 5, None), Entry(2, "m", "1-own", 7, None)]
    mapped = map_list(entries, [dictionary("own")], catalog(), {"m/1-own": "own"})
    assert [one["name"] for one in mapped.features] == ["m.1-own.7"]
    assert mapped.missing == {"gpt2-small/6-res-jb": [entries[0]]}
    assert advice("gpt2-small/6-res-jb", catalog()) == (
        "featuredrift features import saelens NAME gpt2-small-res-jb blocks.6.hook_resid_pre"
    )
    assert advice("m/x", catalog()) == "register its dictionary, and say --dictionary m/x=NAME"


def test_two_ids_of_one_name_are_refused() -> None:
    entries = [Entry(1, "m", "1 x", 5, None), Entry(2, "m", "1-x", 5, None)]
    given = {"m/1 x": "own", "m/1-x": "own"}
    with pytest.raises(ImportRefusedError, match=r"would be named '1-x\.5', as m/1 x/5 is"):
        map_list(entries, [dictionary("own")], catalog(), given)


def test_a_mapping_that_does_not_fit_is_refused() -> None:
    entries = [Entry(1, "gpt2-small", "6-res-jb", 50, None)]
    two = [dictionary("a", **RELEASED), dictionary("b", **RELEASED)]
    source = "gpt2-small/6-res-jb"
    for given, concepts, dictionaries, said in (
        ({"x/y": "a"}, {}, two, "the list has no such source; it has gpt2-small/6-res-jb"),
        ({source: "c"}, {}, two, "there is no dictionary 'c'"),
        ({}, {}, two, "the dictionaries a, b all are this source"),
        ({source: "a"}, {"z": "c"}, two, "z: no feature that is imported has this name"),
        ({source: "s"}, {}, [dictionary("s", d_sae=50)], "has 50 latents (0 to 49)"),
    ):
        with pytest.raises(ImportRefusedError) as caught:
            map_list(entries, dictionaries, catalog(), given, concepts)
        assert said in caught.value.detail
