"""What this machine would compute with: the numerics that stand in a snapshot's key."""

from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from workers.capture.checkpoints import ResolvedCheckpoint, load_config
from workers.errors import EvaluationError
from workers.numerics import Numerics

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def detect_numerics(
    dtype: str,
    attn_implementation: str,
    device: str,
    threads: int,
    resolved: ResolvedCheckpoint | None = None,
) -> Numerics:
    """The numerics of a capture on this machine.

    Args:
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        attn_implementation: ``eager`` or ``sdpa``.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
        threads: intra-op threads on CPU; on GPU it is recorded as 0.
        resolved: the checkpoint; where its architecture has no ``sdpa`` (Gemma 2 with soft
            capping), ``eager`` is used and recorded.

    Raises:
        EvaluationError: the dtype is unknown, or there is no such device.
    """
    if dtype not in DTYPES:
        raise EvaluationError(
            "numerics_unsupported", f"dtype {dtype!r} is none of {', '.join(DTYPES)}"
        )
    if attn_implementation not in ("eager", "sdpa"):
        raise EvaluationError(
            "numerics_unsupported",
            f"attn_implementation {attn_implementation!r} is none of eager, sdpa",
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise EvaluationError(
            "numerics_unsupported", "device 'cuda' was asked for, but torch sees no GPU"
        )
    if device not in ("cpu", "cuda"):
        raise EvaluationError(
            "numerics_unsupported", f"device {device!r} is none of auto, cpu, cuda"
        )
    if attn_implementation == "sdpa" and resolved is not None and not has_sdpa(resolved):
        attn_implementation = "eager"
    on_cpu = device == "cpu"
    return Numerics(
        dtype=dtype,
        attn_implementation=attn_implementation,
        device=device,
        device_name=(
            torch.backends.cpu.get_cpu_capability() if on_cpu else torch.cuda.get_device_name()
        ),
        threads=threads if on_cpu else 0,
        libraries=dict(_libraries()),
    )


@lru_cache(maxsize=1)
def _libraries() -> tuple[tuple[str, str], ...]:
    """Read once: looking a version up reads the package's whole metadata."""
    return (
        ("torch", torch.__version__),
        ("transformers", version("transformers")),
        ("sae_lens", version("sae-lens")),
    )


def apply_threads(numerics: Numerics) -> None:
    """Set the process to the thread count that the numerics promise."""
    if numerics.threads and torch.get_num_threads() != numerics.threads:
        torch.set_num_threads(numerics.threads)


def model_class(config: Any) -> Any:
    """The transformers class of a configuration's base model, without a head.

    Raises:
        EvaluationError: the library has none.
    """
    from transformers import AutoModel

    try:
        found = AutoModel._model_mapping[type(config)]
    except KeyError:
        raise EvaluationError(
            "architecture_unsupported",
            f"transformers has no base model for model type {config.model_type!r}",
        ) from None
    return found[0] if isinstance(found, list | tuple) else found


def has_sdpa(resolved: ResolvedCheckpoint) -> bool:
    """Whether a checkpoint's architecture has the ``sdpa`` attention beside ``eager``."""
    full = resolved.base or resolved
    return _has_sdpa(full.path, full.config_digest)


# Asked for in every shard, of files whose digest has just been looked at.
@lru_cache(maxsize=256)
def _has_sdpa(folder: Path, _config_digest: str) -> bool:
    return bool(getattr(model_class(load_config(folder)), "_supports_sdpa", False))
