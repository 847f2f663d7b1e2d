"""A realigned dictionary encodes the candidate's activations as the old one the mapped ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.worlds.diagnosis.planted import SITE, WIDTH, activations, dictionary, rotation
from workers.diagnosis.maps import AffineMap
from workers.diagnosis.realign import CannotRealignError, realign, rescale_latents
from workers.features.dictionaries import DictionarySource, load_dictionary
from workers.features.encoders import load_sae

CPU = torch.device("cpu")
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("standard", {}),
    ("standard", {"apply_b_dec_to_input": False}),
    ("jumprelu", {}),
    ("gated", {}),
    ("topk", {}),
    ("topk", {"rescale_acts_by_decoder_norm": True}),
    ("abstopk", {}),
    ("transcoder", {}),
    ("skip_transcoder", {}),
    ("jumprelu_transcoder", {}),
]


def a_map(kind: str) -> AffineMap:
    t = np.linspace(-0.5, 0.5, WIDTH)
    if kind == "scale":
        return AffineMap.scale(0.6, WIDTH)
    if kind == "rotation":
        return AffineMap(rotation(), t)
    return AffineMap(rotation() * np.linspace(0.5, 2, WIDTH) @ rotation(7), t)


def opened(path: Path, root: Path, site: str = SITE) -> DictionarySource:
    return load_dictionary("new", str(path), site=site, roots=[root], cache=root / "cache")


def encode(source: DictionarySource, x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(load_sae(source, CPU).encode(torch.from_numpy(x)))


@pytest.mark.parametrize("kind", ["scale", "rotation", "linear"])
@pytest.mark.parametrize(("architecture", "options"), KINDS)
def test_codes_and_reconstructions_follow_the_map(
    tmp_path: Path, architecture: str, options: dict[str, Any], kind: str
) -> None:
    source = dictionary(tmp_path, architecture, **options)
    mapping = a_map(kind)
    new = opened(realign(source, mapping, tmp_path / "realigned"), tmp_path)
    x = activations(documents=3)
    mapped = mapping(x)
    before, after = encode(source, mapped), encode(new, x)
    # A value within rounding of its threshold may fall on either side of it.
    assert np.isclose(before, after, atol=1e-3).mean() > 0.9999
    old_sae, new_sae = load_sae(source, CPU), load_sae(new, CPU)
    if architecture == "skip_transcoder":
        wanted = old_sae(torch.from_numpy(mapped)).numpy()
        found = new_sae(torch.from_numpy(x)).numpy()
    else:
        code = torch.from_numpy(before)
        wanted, found = old_sae.decode(code).numpy(), new_sae.decode(code).numpy()
        if "transcoder" not in architecture:
            found = mapping(found)
    assert np.isclose(wanted, found, atol=1e-3).mean() > 0.999


def test_the_same_map_gives_the_same_folder(tmp_path: Path) -> None:
    source = dictionary(tmp_path)
    paths = {realign(source, a_map("rotation"), tmp_path / "new") for _ in range(2)}
    assert len(paths) == 1
    assert realign(source, a_map("scale"), tmp_path / "new") not in paths


@pytest.mark.parametrize(
    ("architecture", "options", "word"),
    [
        ("standard", {"normalize_activations": "layer_norm"}, "normalises"),
        ("standard", {"normalize_activations": "constant_norm_rescale"}, "normalises"),
        ("matching_pursuit", {}, "matching_pursuit"),
        ("temporal", {}, "temporal"),
    ],
)
def test_what_cannot_be_folded_exactly_is_refused(
    tmp_path: Path, architecture: str, options: dict[str, Any], word: str
) -> None:
    source = dictionary(tmp_path, architecture, **options)
    with pytest.raises(CannotRealignError, match=word):
        realign(source, a_map("rotation"), tmp_path / "new")


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated", "transcoder"])
def test_one_latent_alone_is_rescaled(tmp_path: Path, architecture: str) -> None:
    source = dictionary(tmp_path, architecture)
    new = opened(rescale_latents(source, {5: 0.25}, tmp_path / "new"), tmp_path)
    x = activations(documents=2)
    before, after = encode(source, x), encode(new, x)
    before[:, 5] *= 0.25
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_competing_latents_are_not_rescaled_alone(tmp_path: Path) -> None:
    with pytest.raises(CannotRealignError, match="compete"):
        rescale_latents(dictionary(tmp_path, "topk"), {5: 0.25}, tmp_path / "new")
