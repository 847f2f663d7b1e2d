"""The artifact store's layout: which files are ours, and what each belongs to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from app.core.artifacts import StoredObject

FOLDERS = ("snapshots", "evaluations", "tokens", "controls", "corpora", "dictionaries")

_DIGEST = "[0-9a-f]{64}"
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KINDS = (
    (
        "snapshot",
        re.compile(rf"(?P<unit>snapshots/(?P<id>{_DIGEST}))/[\w.-]+\.(?:safetensors|json)"),
    ),
    (
        "passages",
        re.compile(rf"(?P<unit>evaluations/(?P<id>{_UUID})/(?:baseline|previous)\.passages\.json)"),
    ),
    (
        "table",
        re.compile(rf"(?P<unit>evaluations/(?P<id>{_UUID})/(?:baseline|previous)\.parquet)"),
    ),
    (
        "report",
        re.compile(
            rf"(?P<unit>evaluations/(?P<id>{_UUID})/report-[0-9a-f]{{16}}\.(?:json|md|html))"
        ),
    ),
    ("tokens", re.compile(rf"(?P<unit>tokens/(?P<id>{_DIGEST})\.safetensors)")),
    ("controls", re.compile(rf"(?P<unit>controls/(?P<id>{_DIGEST})\.json)")),
    ("corpus", re.compile(rf"(?P<unit>corpora/(?P<id>{_DIGEST})/documents\.jsonl)")),
    (
        "dictionary",
        re.compile(
            rf"(?P<unit>dictionaries/(?P<id>{_DIGEST}))/(?:cfg\.json|sae_weights\.safetensors)"
        ),
    ),
)
_TEMPORARY = re.compile(r"(?:[^/]+/)+\.[^/]+\.[0-9a-f]{32}\.tmp")


@dataclass(frozen=True)
class Unit:
    """What goes or stays as one: a file, or a folder of files.

    Attributes:
        key: the file's key, or the folder's.
        kind: what it is.
        id: the digest or the evaluation's id in the key; empty for a temporary file.
        files: all that belongs to it.
        size: their bytes.
        modified: of the newest of them.
    """

    key: str
    kind: str
    id: str
    files: tuple[str, ...]
    size: int
    modified: datetime


def units(objects: Iterable[StoredObject]) -> tuple[list[Unit], list[str]]:
    """The units among some files, by key, and the keys of files that are none of ours."""
    grouped: dict[tuple[str, str, str], list[StoredObject]] = {}
    unknown: list[str] = []
    for found in objects:
        name = _name(found.key)
        if name is None:
            unknown.append(found.key)
        else:
            grouped.setdefault(name, []).append(found)
    return [
        Unit(
            key,
            kind,
            identity,
            tuple(one.key for one in files),
            sum(one.size for one in files),
            max(one.modified for one in files),
        )
        for (key, kind, identity), files in sorted(grouped.items())
    ], unknown


def in_deletion_order(files: Iterable[str]) -> list[str]:
    """What makes the others readable goes first, so that no half is ever read for a whole."""
    first = ("manifest.json", "cfg.json", "causal.safetensors")
    return sorted(files, key=lambda key: (key.rpartition("/")[2] not in first, key))


def _name(key: str) -> tuple[str, str, str] | None:
    if _TEMPORARY.fullmatch(key) and key.partition("/")[0] in FOLDERS:
        return key, "temporary", ""
    for kind, pattern in _KINDS:
        if match := pattern.fullmatch(key):
            return match["unit"], kind, match["id"]
    return None
