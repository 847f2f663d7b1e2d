"""Dictionaries: SAEs and transcoders in SAELens format, found, checked and opened lazily."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from app.core.artifacts import ArtifactStore
from app.core.digests import sha256_json
from app.sources.artifacts import artifact_key
from app.sources.dictionary import CONFIG_FILE, WEIGHTS_FILE, inspect_dictionary_source
from workers.capture.isolation import sealed
from workers.capture.sources import as_evaluation_error, locate
from workers.errors import EvaluationError
from workers.folders import fill_folder

# SAELens encoders in which a latent's value depends on its own column alone.
RELU = frozenset({"standard", "transcoder", "skip_transcoder"})
JUMPRELU = frozenset({"jumprelu", "jumprelu_transcoder", "jumprelu_skip_transcoder"})
GATED = frozenset({"gated"})
PER_LATENT = RELU | JUMPRELU | GATED
TOP_K = frozenset({"topk", "abstopk"})
TRANSCODERS = frozenset(
    {"transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder"}
)
SIGNED = frozenset({"abstopk"})
"""Architectures whose latents may be negative."""


@dataclass(frozen=True)
class DictionarySource:
    """A dictionary on this machine, checked and identified; its weights are read when used."""

    name: str
    path: Path
    digest: str
    architecture: str
    d_in: int
    d_sae: int
    site: str
    """Where its input is read."""
    output_site: str | None
    """Of a transcoder, the site that it reconstructs, where its configuration tells."""
    config: dict[str, Any] = field(repr=False)
    """SAELens's configuration, in its present form."""

    def tensors(self) -> dict[str, Tensor]:
        """The weights as stored, mapped from the file: a slice reads only its own pages.

        Raises:
            EvaluationError: the file is gone.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(self.path / WEIGHTS_FILE), framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (FileNotFoundError, SafetensorError) as error:
            raise EvaluationError(
                "dictionary_missing", f"dictionary {self.name!r} at {self.path}: {error}"
            ) from error


def load_dictionary(
    name: str,
    source: str | None = None,
    *,
    release: str | None = None,
    sae_id: str | None = None,
    site: str | None = None,
    roots: Sequence[Path],
    cache: Path,
    allow_hub: bool = False,
    store: ArtifactStore | None = None,
) -> DictionarySource:
    """Find and check a dictionary: a folder or URI, an artifact, or a SAELens release and id.

    Args:
        name: the registered name.
        source: a folder with ``cfg.json`` and ``sae_weights.safetensors``, its URI, or
            ``artifact:<key prefix>`` for one in the artifact store.
        release, sae_id: a pretrained dictionary in SAELens's own words; needs the hub.
        site: where to read its input; by default the hook name of its configuration.
        roots, cache, allow_hub: as for `resolve_checkpoint`.
        store: the artifact store; needed for an ``artifact:`` source.

    Raises:
        EvaluationError: with the reason, naming the file or value, and what to do.
    """
    key = artifact_key(source) if source is not None else None
    if key is not None:
        if store is None:
            raise ValueError(f"dictionary {name!r} is in the artifact store, but none was given")
        path = _fetch_artifact(key, store, cache)
    elif source is not None:
        path, _ = locate(source, None, roots=roots, cache=cache, allow_hub=allow_hub)
    elif release is not None and sae_id is not None:
        path = _fetch_release(release, sae_id, cache, allow_hub)
    else:
        raise ValueError(f"dictionary {name!r} needs a source, or a release and a sae_id")
    with as_evaluation_error():
        facts = inspect_dictionary_source(str(path), [*roots, cache.resolve()])
    if facts is None:
        raise ValueError(f"{path} is no local folder")
    with sealed(f"dictionary {name!r}"):
        config = _read_config(name, path)
    metadata = config.get("metadata") or {}
    if metadata.get("hook_head_index") is not None:
        raise EvaluationError(
            "dictionary_unsupported",
            f"dictionary {name!r} reads head {metadata['hook_head_index']} alone; dictionaries of "
            "single heads are not supported",
        )
    site = site or facts.site
    if site is None:
        raise EvaluationError(
            "dictionary_site_missing",
            f"dictionary {name!r}: {CONFIG_FILE} names no hook; register it with its site",
        )
    dictionary = DictionarySource(
        name=name,
        path=path,
        digest=facts.digest,
        architecture=str(config["architecture"]),
        d_in=facts.d_in,
        d_sae=facts.d_sae,
        site=site,
        output_site=metadata.get("hook_name_out"),
        config=config,
    )
    _check_tensors(dictionary)
    return dictionary


def _read_config(name: str, path: Path) -> dict[str, Any]:
    from sae_lens.loading.pretrained_sae_loaders import (
        get_sae_lens_config_from_disk,
        handle_config_defaulting,
    )
    from sae_lens.registry import SAE_CLASS_REGISTRY

    try:
        config = handle_config_defaulting(get_sae_lens_config_from_disk(path, device="cpu"))
        architecture = config["architecture"]
        if architecture not in SAE_CLASS_REGISTRY:
            raise EvaluationError(
                "dictionary_unsupported",
                f"dictionary {name!r} has architecture {architecture!r}; SAELens can encode "
                f"{', '.join(sorted(SAE_CLASS_REGISTRY))}",
            )
        SAE_CLASS_REGISTRY[architecture][1].from_dict(config)
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            "config_invalid", f"dictionary {name!r}: {path / CONFIG_FILE}: {error}"
        ) from error
    return config


def _check_tensors(dictionary: DictionarySource) -> None:
    """The tensors that an encoder of this architecture reads exist and have its shape."""
    d_in, d_sae = dictionary.d_in, dictionary.d_sae
    architecture = dictionary.architecture
    expected: dict[str, tuple[int, ...]] = {}
    if architecture in PER_LATENT | TOP_K:
        expected["W_enc"] = (d_in, d_sae)
        biases = ("b_gate", "b_mag", "r_mag") if architecture in GATED else ("b_enc",)
        expected.update(dict.fromkeys(biases, (d_sae,)))
    if architecture in JUMPRELU:
        expected["threshold"] = (d_sae,)
    if architecture not in TRANSCODERS:
        expected["b_dec"] = (d_in,)
    tensors = dictionary.tensors()
    for tensor, shape in expected.items():
        if tensor not in tensors or tuple(tensors[tensor].shape) != shape:
            found = list(tensors[tensor].shape) if tensor in tensors else "missing"
            raise EvaluationError(
                "dictionary_inconsistent",
                f"dictionary {dictionary.name!r}: {tensor} is {found}; a {architecture} of "
                f"{CONFIG_FILE} needs {list(shape)}",
            )


def _fetch_artifact(key: str, store: ArtifactStore, cache: Path) -> Path:
    """Copy a dictionary out of the artifact store; its key says what it holds."""
    folder = cache.resolve() / "dictionaries" / sha256_json(["artifact", key])
    if folder.is_dir():
        return folder

    def fetch(unfinished: Path) -> None:
        for file in (CONFIG_FILE, WEIGHTS_FILE):
            store.read_local(f"{key}/{file}", partial(shutil.copyfile, dst=unfinished / file))

    try:
        return fill_folder(folder, fetch)
    except FileNotFoundError as error:
        raise EvaluationError(
            "source_missing", f"the artifact store has no whole dictionary under {key!r}: {error}"
        ) from error


def _fetch_release(release: str, sae_id: str, cache: Path, allow_hub: bool) -> Path:
    """Fetch a pretrained dictionary with SAELens and keep it in SAELens's own format."""
    if not allow_hub:
        raise EvaluationError(
            "hub_not_allowed",
            f"dictionary {release}/{sae_id} is on the Hugging Face hub, which is not allowed here; "
            "set FEATUREDRIFT_ALLOW_HUB=1 or give a local copy",
        )
    folder = cache.resolve() / "dictionaries" / sha256_json([release, sae_id])
    if folder.is_dir():
        return folder
    from huggingface_hub.errors import (
        GatedRepoError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
    )
    from sae_lens import SAE

    try:
        sae = SAE.from_pretrained(release, sae_id, device="cpu")
    except GatedRepoError:
        raise EvaluationError(
            "hub_refused",
            f"dictionary {release}/{sae_id} is gated; accept its terms with the worker's account",
        ) from None
    except RepositoryNotFoundError:
        raise EvaluationError(
            "source_missing",
            f"dictionary {release}/{sae_id} has no repository on the hub, or a private one",
        ) from None
    except RemoteEntryNotFoundError:
        raise EvaluationError(
            "source_missing", f"dictionary {release}/{sae_id} lacks files on the hub"
        ) from None
    except ValueError as error:
        raise EvaluationError(
            "source_missing", f"dictionary {release}/{sae_id}: {error}"
        ) from error
    return fill_folder(folder, sae.save_model)
