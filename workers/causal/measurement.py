"""A causal measurement: sums per document, stored and read again without the model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from workers.errors import EvaluationError

VERSION = 1
_METADATA = "causal"


@dataclass(frozen=True)
class CausalMeasurement:
    """What F features do to the next token over D documents of a sample.

    All sums are over tokens where the feature is on, or over matched ones of the same sequences
    where it is off; KL and loss are in nats.
    """

    features: tuple[str, ...]
    facts: Mapping[str, Mapping[str, Any]]
    """Per feature: `reason` (None where measured) and `silent` (never on in the sample); of a
    measured one `site`, `activity` (`threshold` or `top_decile`), `cutoff`, `active_tokens`,
    `tokens` and `size`, the mean signed length of what is removed."""
    settings: Mapping[str, Any]
    tokenizer_digest: str
    sample_digest: str
    """Of the token ids of the sample."""
    vocabulary: int
    documents: NDArray[np.int64]
    """[D] ascending document indices of the corpus."""
    tokens: NDArray[np.float64]
    """[F, D] tokens where the feature is on."""
    kl: NDArray[np.float64]
    """[F, D] Σ KL(base ‖ ablated) at them."""
    loss: NDArray[np.float64]
    """[F, D] Σ (ablated − base) loss of the next token at them."""
    random_kl: NDArray[np.float64]
    """[F, R, D] likewise with each random direction of the same size in the feature's place."""
    random_loss: NDArray[np.float64]
    """[F, R, D]."""
    inactive_tokens: NDArray[np.float64]
    """[F, D] matched tokens where the feature is off."""
    inactive_kl: NDArray[np.float64]
    """[F, D] Σ KL with the same vectors taken away at those instead."""
    inactive_loss: NDArray[np.float64]
    """[F, D]."""
    steered_documents: NDArray[np.int64]
    """[S] ascending."""
    steered: NDArray[np.float32]
    """[F, S, K] Σ over tokens of the shift of the logits, centred over the vocabulary; whole or as
    a sketch of K entries."""
    steered_tokens: NDArray[np.float64]
    """[F, S]."""

    def to_bytes(self) -> bytes:
        """The measurement as a safetensors file; the same measurement gives the same bytes."""
        facts = {
            "version": VERSION,
            "features": list(self.features),
            "facts": {name: dict(values) for name, values in self.facts.items()},
            "settings": dict(self.settings),
            "tokenizer_digest": self.tokenizer_digest,
            "sample_digest": self.sample_digest,
            "vocabulary": self.vocabulary,
        }
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        # One metadata entry: safetensors keeps several in no fixed order.
        return save(arrays, metadata={_METADATA: json.dumps(facts, sort_keys=True)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "CausalMeasurement":
        """Read what `to_bytes` wrote.

        Raises:
            EvaluationError: ``causal_corrupt``: truncated, or of another version.
        """
        try:
            arrays = load(data)
            header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            facts: dict[str, Any] = json.loads(header["__metadata__"][_METADATA])
            if (version := facts.pop("version")) != VERSION:
                raise ValueError(f"version {version}, not {VERSION}")
            if missing := set(_ARRAYS) - set(arrays):
                raise KeyError(f"no {sorted(missing)[0]}")
        except (SafetensorError, ValueError, KeyError) as error:
            raise EvaluationError(
                "causal_corrupt", f"the stored causal measurement cannot be read: {error}"
            ) from error
        features = tuple(facts.pop("features"))
        kept: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
        return cls(features=features, **facts, **kept)


_ARRAYS = (
    "documents",
    "tokens",
    "kl",
    "loss",
    "random_kl",
    "random_loss",
    "inactive_tokens",
    "inactive_kl",
    "inactive_loss",
    "steered_documents",
    "steered",
    "steered_tokens",
)


def empty_measurement(
    reasons: Mapping[str, str],
    settings: Mapping[str, Any],
    *,
    directions: int,
    tokenizer_digest: str = "",
) -> CausalMeasurement:
    """A measurement in which no feature could be measured.

    Args:
        reasons: per feature, a sentence.
        directions: random directions that the settings ask for.
    """
    features = len(reasons)
    flat, none = np.zeros((features, 0)), np.zeros(0, dtype=np.int64)
    cube = np.zeros((features, directions, 0))
    return CausalMeasurement(
        features=tuple(reasons),
        facts={name: {"reason": reason} for name, reason in reasons.items()},
        settings=settings,
        tokenizer_digest=tokenizer_digest,
        sample_digest="",
        vocabulary=0,
        documents=none,
        tokens=flat,
        kl=flat,
        loss=flat,
        random_kl=cube,
        random_loss=cube,
        inactive_tokens=flat,
        inactive_kl=flat,
        inactive_loss=flat,
        steered_documents=none,
        steered=np.zeros((features, 0, 0), dtype=np.float32),
        steered_tokens=flat,
    )
