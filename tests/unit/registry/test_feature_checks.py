"""What can be said of a feature list without weights."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from app.core.errors import InvalidInputError
from app.core.ids import new_id
from app.registry.definitions import Feature
from app.registry.service.feature_sets import check_features
from app.registry.tables import Dictionary

SITE = "blocks.1.hook_resid_post"
KNOWN = {"sae": Dictionary(id=new_id(), name="sae", site=SITE, d_in=4, d_sae=16)}
REMOTE = {"sae": Dictionary(id=new_id(), name="sae", site=SITE)}


def check(*features: dict[str, Any], known: dict[str, Dictionary] = KNOWN) -> None:
    parsed = TypeAdapter(tuple[Feature, ...]).validate_python(features)
    check_features(parsed, known)


LATENT = {"kind": "sae_latent", "name": "l", "dictionary": "sae", "index": 3}
PROBE = {"kind": "linear_probe", "name": "p", "site": SITE, "weights": [1.0, 0, 0, 0]}
DIRECTION = {"kind": "direction", "name": "d", "site": SITE, "vector": [1.0, 0, 0, 0]}
NEURON = {"kind": "neuron", "name": "n", "site": SITE, "index": 3}


def test_features_that_fit_together() -> None:
    check(LATENT, PROBE, DIRECTION, NEURON)
    check({**PROBE, "weights": [1.0]}, {**DIRECTION, "site": "blocks.2.hook_resid_post"})


def test_what_only_a_worker_can_know_is_let_through() -> None:
    check({**LATENT, "index": 10**6}, {**PROBE, "weights": [1.0]}, known=REMOTE)
    check({**NEURON, "index": 10**6})


@pytest.mark.parametrize(
    ("features", "code", "field"),
    [
        ([{**LATENT, "dictionary": "other"}], "unknown_dictionary", "features.0.dictionary"),
        ([{**LATENT, "index": 16}], "index_out_of_range", "features.0.index"),
        ([LATENT, {**PROBE, "weights": [1.0]}], "width_mismatch", "features.1.weights"),
        ([PROBE, {**DIRECTION, "vector": [1.0, 2.0]}], "width_mismatch", "features.1.vector"),
        ([{**PROBE, "weights": [1.0]}, LATENT], "width_mismatch", "features.1.dictionary"),
        ([{**NEURON, "index": 4}, PROBE], "index_out_of_range", "features.0.index"),
    ],
)
def test_what_does_not_fit_is_named(features: list[dict[str, Any]], code: str, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check(*features)
    assert (caught.value.code, caught.value.field) == (code, field)
