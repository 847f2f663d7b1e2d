"""Bring a checkpoint or dictionary here: from a folder, an object store, or a pinned hub commit."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from app.core.digests import sha256_json
from app.core.errors import InvalidInputError
from app.sources.checkpoint import PICKLE_SUFFIXES
from app.sources.locations import Place, local_directory, place_of
from workers.errors import EvaluationError
from workers.folders import fill_folder

# Only what loading reads: no pickle, no code.
_FETCHED_SUFFIXES = (".json", ".safetensors", ".txt", ".model", ".jinja")


@contextmanager
def as_evaluation_error() -> Iterator[None]:
    """Let the registry's own checks of a source speak as the reason why an evaluation failed."""
    try:
        yield
    except InvalidInputError as error:
        raise EvaluationError(error.code, error.detail) from error


def locate(
    source: str, revision: str | None, *, roots: Sequence[Path], cache: Path, allow_hub: bool
) -> tuple[Path, str | None]:
    """Turn a source into a local folder.

    Args:
        source: an absolute path, a ``file://`` URI, an object-store URI such as
            ``s3://bucket/step-4000``, or a hub id ``hf://owner/name``.
        revision: a branch, tag or commit; only a hub id has one.
        roots: folders that local sources must lie under.
        cache: folder for what is downloaded.
        allow_hub: whether hub ids may be fetched.

    Returns:
        The folder, and the commit sha for a hub id (None for every other source).

    Raises:
        EvaluationError: the source is malformed, missing, or outside the allowed roots.
    """
    with as_evaluation_error():
        place = place_of(source)
    if place is Place.HUB:
        return _fetch_hub(source.removeprefix("hf://"), revision, cache, allow_hub)
    if revision is not None:
        raise EvaluationError(
            "revision_unsupported",
            f"revision {revision!r} was given for {source!r}; only a hub id has revisions",
        )
    if place is Place.REMOTE:
        return _fetch_remote(source.rstrip("/"), cache), None
    with as_evaluation_error():
        return local_directory(source, roots), None


def _fetch_remote(source: str, cache: Path) -> Path:
    """Copy an object-store folder into the cache, under a name taken from its listing."""
    import fsspec

    filesystem, root = fsspec.core.url_to_fs(source)
    filesystem.invalidate_cache()
    try:
        listing = filesystem.ls(root, detail=True)
    except FileNotFoundError:
        raise EvaluationError("source_missing", f"there is nothing at {source!r}") from None
    except Exception as error:
        if not _is_refusal(error):
            raise
        raise EvaluationError(
            "source_refused",
            f"{source!r} may not be read: {error}; give the worker's environment credentials that "
            "may list and read it (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, say)",
        ) from None
    files = sorted(
        (PurePosixPath(entry["name"]).name, entry) for entry in listing if entry["type"] == "file"
    )
    _refuse_unsafe(source, [name for name, _ in files])
    wanted = [(name, entry) for name, entry in files if name.endswith(_FETCHED_SUFFIXES)]
    stamps = [[name, entry.get("size"), _stamp(entry)] for name, entry in wanted]
    folder = cache.resolve() / "remote" / sha256_json([source, stamps])
    if folder.is_dir():
        return folder

    def fetch(partial: Path) -> None:
        for name, entry in wanted:
            filesystem.get_file(entry["name"], str(partial / name))

    return fill_folder(folder, fetch)


def _is_refusal(error: Exception) -> bool:
    """Whether the store asks for other credentials; each library has errors of its own."""
    return isinstance(error, PermissionError) or type(error).__name__.endswith("CredentialsError")


def _stamp(entry: dict[str, Any]) -> str:
    """What changes when an object is overwritten: its etag, else its time of modification."""
    for key in ("ETag", "etag", "content_md5", "LastModified", "last_modified", "updated", "mtime"):
        if entry.get(key) is not None:
            return str(entry[key])
    return ""


def _fetch_hub(source: str, revision: str | None, cache: Path, allow_hub: bool) -> tuple[Path, str]:
    if not allow_hub:
        raise EvaluationError(
            "hub_not_allowed",
            f"{source!r} is on the Hugging Face hub, which is not allowed here; set "
            "FEATUREDRIFT_ALLOW_HUB=1 or give a local copy",
        )
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = HfApi().model_info(source, revision=revision)
        _refuse_unsafe(source, [file.rfilename for file in info.siblings or ()])
        commit = str(info.sha)
        folder = snapshot_download(
            source,
            revision=commit,
            cache_dir=cache.resolve() / "hub",
            allow_patterns=[f"*{suffix}" for suffix in _FETCHED_SUFFIXES],
        )
    except GatedRepoError:
        raise EvaluationError(
            "hub_refused", f"{source!r} is gated; accept its terms with the worker's account"
        ) from None
    except RevisionNotFoundError:
        raise EvaluationError(
            "source_missing", f"{source!r} has no revision {revision!r} on the hub"
        ) from None
    except RepositoryNotFoundError:
        raise EvaluationError(
            "source_missing", f"there is no {source!r} on the hub, or it is private"
        ) from None
    return Path(folder), commit


def _refuse_unsafe(source: str, names: Iterable[str]) -> None:
    """Refuse a listing without safetensors before a byte of it is fetched.

    Pickles beside safetensors (an optimiser's state) are never fetched, so they may stay there.
    """
    names = sorted(names)
    if any(name.endswith(".safetensors") for name in names):
        return
    pickles = [name for name in names if name.endswith(PICKLE_SUFFIXES)]
    if pickles:
        raise EvaluationError(
            "pickle_refused",
            f"{source!r} holds weights only as pickles ({', '.join(pickles[:5])}), which can run "
            "code when loaded; save them with save_pretrained(safe_serialization=True)",
        )
    raise EvaluationError("weights_missing", f"{source!r} has no .safetensors file")
