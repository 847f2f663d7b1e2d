"""What is looked at: the tokens of a corpus with every latent, the activations and the labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Material:
    """n tokens in the order of the corpus; special and outlier tokens are left out.

    Raises:
        ValueError: arrays that do not fit together.
    """

    cluster: NDArray[np.int64]
    """[n] the unit of inference of each token: a document, its variants, near-copies and group."""
    sequence: NDArray[np.int64]
    """[n] which sequence the model read the token in; ascending."""
    keys: NDArray[np.int64]
    """[n] token ids."""
    latents: csr_array
    """float32 [n, latents] activations; those that are 0 are not stored."""
    site: NDArray[np.float32]
    """[n, width] activations at the dictionary's site."""
    labels: Mapping[str, Flags]
    """By concept, [n] whether the token carries it."""

    def __post_init__(self) -> None:
        n = len(self.cluster)
        lengths = {
            "sequence": len(self.sequence),
            "keys": len(self.keys),
            "latents": self.latents.shape[0],
            "site": len(self.site),
        } | {f"labels of {concept!r}": len(flags) for concept, flags in self.labels.items()}
        for what, length in lengths.items():
            if length != n:
                raise ValueError(f"{what}: {length} rows for {n} tokens; give one a token")

    def __len__(self) -> int:
        return len(self.cluster)

    def take(self, tokens: NDArray[np.intp]) -> "Material":
        """Some of the tokens, by ascending position."""
        return Material(
            self.cluster[tokens],
            self.sequence[tokens],
            self.keys[tokens],
            csr_array(self.latents[tokens]),
            self.site[tokens],
            {concept: flags[tokens] for concept, flags in self.labels.items()},
        )

    def dense(self, latent: int) -> NDArray[np.float32]:
        """[n] the values of one latent."""
        return np.asarray(self.latents[:, [latent]].toarray(), np.float32)[:, 0]
