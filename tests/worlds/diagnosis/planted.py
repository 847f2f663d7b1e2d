"""Activations with a known change between baseline and candidate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.registry.definitions import Direction, Feature, LinearProbe, Neuron, SaeLatent
from tests.support.dictionaries import save_dictionary
from workers.comparison.sites import SiteSample
from workers.diagnosis import DiagnosisQuestion
from workers.features.dictionaries import DictionarySource, load_dictionary

Float32 = NDArray[np.float32]

SITE = "blocks.1.hook_resid_post"
WIDTH, DOCUMENTS, LENGTH = 16, 120, 60


def activations(seed: int = 0, width: int = WIDTH, documents: int = DOCUMENTS) -> Float32:
    """[documents × LENGTH, width]: correlated coordinates, a mean, and documents that differ."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(width, width)) / np.sqrt(width) + np.eye(width)
    x = rng.laplace(size=(documents * LENGTH, width)) @ mixing
    x += 0.5 * np.repeat(rng.normal(size=(documents, width)), LENGTH, axis=0)
    return (x + rng.normal(size=width)).astype(np.float32)


def rotation(seed: int = 1, width: int = WIDTH) -> NDArray[np.float64]:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]


def sample(a: Float32, b: Float32 | None = None, site: str = SITE) -> SiteSample:
    n = len(a)
    document = np.arange(n) // LENGTH
    return SiteSample(
        rows=np.arange(n),
        document=document.astype(np.int32),
        start=np.arange(n, dtype=np.int32),
        end=np.arange(1, n + 1, dtype=np.int32),
        cluster=document.astype(np.int64),
        a={site: a},
        b={} if b is None else {site: b},
    )


def readouts(width: int = WIDTH, site: str = SITE) -> list[Feature]:
    rng = np.random.default_rng(3)
    w, v, c = (tuple(map(float, rng.normal(size=width))) for _ in range(3))
    return [
        LinearProbe(name="probe", site=site, weights=w, bias=0.5),
        Direction(name="direction", site=site, vector=v, center=c),
        Neuron(name="neuron", site=site, index=4),
    ]


def latents(count: int = 12, dictionary: str = "sae") -> list[Feature]:
    return [SaeLatent(name=f"latent-{i}", dictionary=dictionary, index=3 * i) for i in range(count)]


def dictionary(folder: Path, architecture: str = "standard", **options: Any) -> DictionarySource:
    save_dictionary(folder / "sae", architecture, **{"d_in": WIDTH, "site": SITE, **options})
    return load_dictionary("sae", str(folder / "sae"), roots=[folder], cache=folder / "cache")


def ask(
    features: Sequence[Feature],
    a: Float32,
    b: Float32,
    dictionaries: Mapping[str, DictionarySource] | None = None,
    *,
    random: bool = True,
    **more: Any,
) -> DiagnosisQuestion:
    """A question in which every feature has drifted."""
    fresh = sample(activations(99, a.shape[1], len(a) // LENGTH)) if random else None
    return DiagnosisQuestion(
        features={f.name: f for f in features},
        drifted=[f.name for f in features],
        sample=sample(a, b),
        dictionaries=dictionaries or {},
        randomised=fresh,
        **more,
    )
