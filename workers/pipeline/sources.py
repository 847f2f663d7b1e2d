"""Checkpoints and dictionaries as registered, found again here and held to their digests."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.core.artifacts import ArtifactStore
from app.core.digests import sha256_file
from app.registry.tables import Checkpoint, Dictionary
from workers.capture.checkpoints import ResolvedCheckpoint, resolve_checkpoint
from workers.errors import EvaluationError
from workers.features.dictionaries import DictionarySource, load_dictionary

_Fingerprint = tuple[tuple[str, int, int, int], ...]


@contextmanager
def naming(checkpoint: Checkpoint) -> Iterator[None]:
    """Say of which of an evaluation's checkpoints a fault is."""
    try:
        yield
    except EvaluationError as error:
        detail = f"checkpoint {checkpoint.name!r}: {error.detail}"
        raise EvaluationError(error.code, detail) from error


class CheckpointSources:
    """Resolves sources; one whose files are untouched is not read and digested again."""

    def __init__(self, *, roots: Sequence[Path], cache: Path, allow_hub: bool) -> None:
        self._roots = roots
        self._cache = cache
        self._allow_hub = allow_hub
        self._known: dict[tuple[str, str | None], tuple[_Fingerprint, ResolvedCheckpoint]] = {}

    def resolve(self, checkpoint: Checkpoint) -> ResolvedCheckpoint:
        """Find a registered checkpoint, and refuse one that is not what it was.

        Raises:
            EvaluationError: it is missing, damaged, not allowed, or has changed since it was
                registered or first read.
        """
        try:
            resolved = self._resolve(checkpoint.source, _pinned(checkpoint))
        except EvaluationError as error:
            code = "checkpoint_missing" if error.code == "source_missing" else error.code
            raise EvaluationError(
                code, f"checkpoint {checkpoint.name!r}: {error.detail}"
            ) from error
        _check_unchanged(checkpoint, resolved)
        return resolved

    def _resolve(self, source: str, revision: str | None) -> ResolvedCheckpoint:
        known = self._known.get((source, revision))
        if known is not None and _fingerprint(_folders(known[1])) == known[0]:
            return known[1]
        resolved = resolve_checkpoint(
            source, revision, roots=self._roots, cache=self._cache, allow_hub=self._allow_hub
        )
        self._known[source, revision] = (_fingerprint(_folders(resolved)), resolved)
        return resolved


def _pinned(checkpoint: Checkpoint) -> str | None:
    """The commit that a revision stood for when it was first read; branches move."""
    return checkpoint.resolved_revision or checkpoint.revision


def _check_unchanged(checkpoint: Checkpoint, resolved: ResolvedCheckpoint) -> None:
    claimed = checkpoint.registered_digest
    if claimed is not None and claimed not in _names(resolved):
        raise EvaluationError(
            "checkpoint_changed",
            f"checkpoint {checkpoint.name!r} was registered with digest {claimed}, but the weights "
            f"at {checkpoint.source} have {resolved.weights_digest}; register what is there under "
            "a new name",
        )
    if checkpoint.resolved_at is None:
        return
    for what, before, after in (
        ("weights", checkpoint.weights_digest, resolved.weights_digest),
        ("configuration", checkpoint.config_digest, resolved.config_digest),
        ("tokenizer", checkpoint.tokenizer_digest, resolved.tokenizer_digest),
    ):
        if before != after:
            raise EvaluationError(
                "checkpoint_changed",
                f"the {what} of checkpoint {checkpoint.name!r} at {checkpoint.source} had digest "
                f"{before} when first read and now have {after}; a checkpoint never changes, "
                "register the new one under a name of its own",
            )


def _names(resolved: ResolvedCheckpoint) -> list[str]:
    """Digests by which a caller may know the weights: over the tensors, or over the one file."""
    if len(resolved.weights) != 1:
        return [resolved.weights_digest]
    return [resolved.weights_digest, sha256_file(resolved.weights[0])]


def _folders(resolved: ResolvedCheckpoint) -> list[Path]:
    parts = [resolved.path]
    while resolved.base is not None:
        resolved = resolved.base
        parts.append(resolved.path)
    return parts


def _fingerprint(folders: Iterable[Path]) -> _Fingerprint:
    """Size, inode and time of change of every file; of folders that are gone, nothing."""
    entries: list[tuple[str, int, int, int]] = []
    for folder in folders:
        try:
            for file in sorted(folder.iterdir()):
                status = file.stat()
                entries.append((str(file), status.st_size, status.st_ino, status.st_mtime_ns))
        except FileNotFoundError:
            return ()
    return tuple(entries)


class DictionarySources:
    """Finds registered dictionaries; one whose files are untouched is not digested again.

    Args:
        store: holds dictionaries that accepted repairs registered.
    """

    def __init__(
        self,
        *,
        roots: Sequence[Path],
        cache: Path,
        allow_hub: bool,
        store: ArtifactStore | None = None,
    ) -> None:
        self._roots = roots
        self._cache = cache
        self._allow_hub = allow_hub
        self._store = store
        self._known: dict[tuple[str | None, ...], tuple[_Fingerprint, DictionarySource]] = {}

    def find(self, dictionary: Dictionary) -> DictionarySource:
        """Find a registered dictionary, and refuse one that is not what it was.

        Raises:
            EvaluationError: it is missing, damaged, not allowed, or has changed since it was
                registered or first read.
        """
        found = self._find(dictionary)
        if dictionary.digest is not None and found.digest != dictionary.digest:
            raise EvaluationError(
                "dictionary_changed",
                f"dictionary {dictionary.name!r} had digest {dictionary.digest} when registered "
                f"and now has {found.digest}; a dictionary never changes, register the new one "
                "under a name of its own",
            )
        return found

    def _find(self, dictionary: Dictionary) -> DictionarySource:
        key = (
            dictionary.name,
            dictionary.source,
            dictionary.release,
            dictionary.sae_id,
            dictionary.site,
        )
        known = self._known.get(key)
        if known is not None and _fingerprint([known[1].path]) == known[0]:
            return known[1]
        try:
            found = load_dictionary(
                dictionary.name,
                dictionary.source,
                release=dictionary.release,
                sae_id=dictionary.sae_id,
                site=dictionary.site,
                roots=self._roots,
                cache=self._cache,
                allow_hub=self._allow_hub,
                store=self._store,
            )
        except EvaluationError as error:
            code = "dictionary_missing" if error.code == "source_missing" else error.code
            raise EvaluationError(
                code, f"dictionary {dictionary.name!r}: {error.detail}"
            ) from error
        self._known[key] = (_fingerprint([found.path]), found)
        return found
