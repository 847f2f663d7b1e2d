"""Numerics: everything besides weights and inputs that can move the last bit of an activation."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Numerics:
    """How activations were computed; part of a snapshot's key.

    Snapshots whose numerics differ are never compared as drift, only as a numerics control.
    """

    dtype: str
    """Compute dtype: ``float32``, ``bfloat16`` or ``float16``; weights are cast to it."""
    attn_implementation: str
    """``eager`` or ``sdpa``."""
    device: str
    """``cpu`` or ``cuda``, without an index."""
    device_name: str
    """Processor capability (``AVX512``) or GPU name: other silicon, other rounding."""
    threads: int
    """Intra-op threads on CPU: another number splits sums elsewhere. 0 on GPU."""
    libraries: dict[str, str]
    """Versions of torch, transformers and sae_lens."""

    def to_json(self) -> dict[str, Any]:
        """The numerics as plain JSON values."""
        return asdict(self)
