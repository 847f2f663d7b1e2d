"""Writing a snapshot: shards in any order and by any worker, then one manifest."""

import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from app.core.artifacts import ArtifactStore
from app.core.digests import canonical_json, sha256_bytes
from workers.errors import EvaluationError
from workers.snapshots.format import (
    ACTIVATION_PREFIX,
    EXTRA_PREFIX,
    OUTLIER,
    SPECIAL,
    ActivationContent,
    ActivationFile,
    Activations,
    Columns,
    Manifest,
    Shard,
    ShardContent,
    activation_file,
    folder,
    shard_file,
)
from workers.snapshots.tensors import open_tensors

HealthParts = list[tuple[dict[str, NDArray[Any]], dict[str, Any]]]
"""Of each shard in order: its extra tensors, and the JSON that went with them."""
MergeHealth = Callable[[HealthParts], dict[str, dict[str, Any]]]


def write_shard(
    store: ArtifactStore,
    key: str,
    position: int,
    content: ShardContent,
    *,
    first_batch: int,
    stop_batch: int,
    shard_json: Mapping[str, Any] | None = None,
    extra_tensors: Mapping[str, NDArray[Any]] | None = None,
    activations: ActivationContent | None = None,
) -> None:
    """Store one shard; storing it again with the same content changes no byte.

    Args:
        key: the snapshot's key, from `snapshot_key`.
        position: the shard's place in the order of the batch plan, from 0.
        first_batch, stop_batch: the batches of the plan that it holds, half open.
        shard_json: this shard's part of health sums that are plain numbers.
        extra_tensors: this shard's part of health sums that are arrays; names start `health.`.
        activations: raw activations of some of its tokens; of a snapshot, all shards have them or
            none has.

    Raises:
        EvaluationError: the arrays contradict each other or hold NaN or infinity.
    """
    _check(content)
    extra = dict(extra_tensors or {})
    if wrong := [name for name in extra if not name.startswith(EXTRA_PREFIX)]:
        raise ValueError(f"extra tensor {wrong[0]!r} must be named {EXTRA_PREFIX}<dictionary>.…")
    tensors: dict[str, NDArray[Any]] = {
        "document": content.document,
        "start": content.start,
        "end": content.end,
        "flags": content.flags,
        "sparse.indptr": content.indptr,
        "sparse.indices": content.indices,
        "sparse.values": content.values,
        "dense.values": content.dense,
        **extra,
    }
    data = save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)})
    part = {
        "file": shard_file(position),
        "tokens": len(content.document),
        "first_batch": first_batch,
        "stop_batch": stop_batch,
        "sha256": sha256_bytes(data),
        "special_tokens": int(np.count_nonzero(content.flags & SPECIAL)),
        "outlier_tokens": int(np.count_nonzero(content.flags & OUTLIER)),
        "health": dict(shard_json or {}),
    }
    if activations is not None:
        part["activations"] = _write_activations(store, key, position, content, activations)
    # The JSON goes last: a shard without it was never finished.
    store.write_bytes(f"{folder(key)}/{part['file']}", data)
    store.write_bytes(_part_key(key, position), canonical_json(part))


def shard_exists(store: ArtifactStore, key: str, position: int) -> bool:
    """Whether a shard was stored to its end."""
    return store.exists(_part_key(key, position))


def finish(
    store: ArtifactStore,
    key: str,
    *,
    inputs: Mapping[str, Any],
    columns: Columns,
    shards: int,
    documents: int,
    split_documents: int,
    merge_health: MergeHealth | None = None,
) -> Manifest:
    """Merge the shards' parts into the manifest, which makes the snapshot exist.

    The same shards give the same bytes, so that two workers finishing at once do no harm.

    Args:
        inputs: all that determines the content; `key` is its digest.
        shards: how many shards the batch plan has.
        documents: documents in the corpus.
        split_documents: documents longer than the context, captured in pieces.
        merge_health: from the shards' health sums to the figures of each dictionary.

    Raises:
        EvaluationError: a shard is missing, or the shards do not follow one another.
    """
    parts: list[dict[str, Any]] = []
    for position in range(shards):
        try:
            parts.append(json.loads(store.read_bytes(_part_key(key, position))))
        except FileNotFoundError:
            raise EvaluationError(
                "snapshot_incomplete",
                f"shard {position} of {shards} of snapshot {key[:12]} is missing; capture it again",
            ) from None
    for before, after in pairwise(parts):
        if before["stop_batch"] != after["first_batch"]:
            raise EvaluationError(
                "snapshot_incomplete",
                f"{before['file']} stops at batch {before['stop_batch']} but {after['file']} "
                f"starts at batch {after['first_batch']}; the shards come from different batch "
                "plans",
            )
    health: dict[str, dict[str, Any]] = {}
    if merge_health is not None:
        health = merge_health(
            [(_extra(store, key, part["file"]), part["health"]) for part in parts]
        )
    manifest = Manifest(
        key=key,
        inputs=dict(inputs),
        columns=columns,
        shards=tuple(
            Shard(p["file"], p["tokens"], p["first_batch"], p["stop_batch"], p["sha256"])
            for p in parts
        ),
        documents=documents,
        tokens=sum(p["tokens"] for p in parts),
        special_tokens=sum(p["special_tokens"] for p in parts),
        outlier_tokens=sum(p["outlier_tokens"] for p in parts),
        split_documents=split_documents,
        health=health,
        activations=_list_activations(key, parts),
    )
    store.write_bytes(f"{folder(key)}/manifest.json", canonical_json(manifest.to_json()))
    return manifest


def _write_activations(
    store: ArtifactStore,
    key: str,
    position: int,
    content: ShardContent,
    activations: ActivationContent,
) -> dict[str, Any]:
    """Store the raw activations; returns what the shard's JSON says of them."""
    rows = activations.rows
    ascending = bool((np.diff(rows, prepend=-1) > 0).all())
    if not ascending or (len(rows) and rows[-1] >= len(content.document)):
        raise ValueError(
            f"rows of activations must ascend and lie among {len(content.document)} tokens"
        )
    for site, x in activations.x.items():
        if x.ndim != 2 or len(x) != len(rows):
            raise ValueError(f"activations of site {site!r} are {x.shape} for {len(rows)} rows")
    tensors = {ACTIVATION_PREFIX + site: x for site, x in activations.x.items()} | {"rows": rows}
    data = save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)})
    name = activation_file(position)
    store.write_bytes(f"{folder(key)}/{name}", data)
    return {
        "file": name,
        "rows": len(rows),
        "sha256": sha256_bytes(data),
        "sites": {site: x.shape[1] for site, x in sorted(activations.x.items())},
    }


def _list_activations(key: str, parts: list[dict[str, Any]]) -> Activations | None:
    found = [part.get("activations") for part in parts]
    sites = [entry and entry["sites"] for entry in found]
    if any(entry != sites[0] for entry in sites):
        raise EvaluationError(
            "snapshot_incomplete",
            f"the shards of snapshot {key[:12]} hold raw activations of different sites: "
            f"{sites}; capture it again",
        )
    if not parts or sites[0] is None:
        return None
    files = (ActivationFile(e["file"], e["rows"], e["sha256"]) for e in found if e)
    return Activations(sites[0], tuple(files))


def _part_key(key: str, position: int) -> str:
    return f"{folder(key)}/{shard_file(position).replace('.safetensors', '.json')}"


def _extra(store: ArtifactStore, key: str, file: str) -> dict[str, NDArray[Any]]:
    tensors = store.read_local(f"{folder(key)}/{file}", open_tensors)
    return {name: value for name, value in tensors.items() if name.startswith(EXTRA_PREFIX)}


def _check(content: ShardContent) -> None:
    tokens = len(content.document)
    lengths = {
        "start": len(content.start),
        "end": len(content.end),
        "flags": len(content.flags),
        "dense": len(content.dense),
        "indptr": len(content.indptr) - 1,
    }
    for name, length in lengths.items():
        if length != tokens:
            raise ValueError(f"{name} covers {length} tokens, document covers {tokens}")
    if len(content.indices) != len(content.values) or content.indptr[-1] != len(content.values):
        raise ValueError("indptr, indices and values of the sparse features do not fit together")
    for name, values in (("sparse", content.values), ("dense", content.dense)):
        if not np.isfinite(values).all():
            raise EvaluationError(
                "activation_not_finite",
                f"{np.count_nonzero(~np.isfinite(values))} {name} feature values are NaN or "
                "infinite; check the checkpoint's weights, or capture it in float32",
            )
