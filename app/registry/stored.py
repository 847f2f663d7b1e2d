"""A corpus' documents as they lie in the artifact store: read only where they are the registered.

Whoever can write to the store could otherwise have a page or a report show a text that nobody
registered, beside labels and activations of another.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from app.core.artifacts import ArtifactStore
from app.core.errors import FeaturedriftError
from app.registry.tables import Corpus

T = TypeVar("T")


class DocumentsError(FeaturedriftError):
    """A corpus' documents cannot be shown; the detail says why and what to do."""

    status, code, title = 409, "documents_not_as_registered", "Documents are not as registered"


class DocumentsUnavailableError(DocumentsError):
    """The store does not answer; the request may be sent again."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"


def read_registered(artifacts: ArtifactStore, corpus: Corpus, read: Callable[[Path], T]) -> T:
    """What `read` makes of a corpus' file, one document a line in canonical form.

    The file's digest is worked out once for as long as its size and times stay as they are.

    Raises:
        DocumentsError: the file is gone, is another, or cannot be read.
    """

    def checked(path: Path) -> T:
        status = path.stat()
        digest = _digest(str(path), status.st_size, status.st_mtime_ns, status.st_ino)
        if digest != corpus.digest:
            raise DocumentsError(
                f"The stored documents are not the registered ones: the file has the digest "
                f"{digest}, and {corpus.digest} was registered. Nothing of it is shown, and "
                f"evaluations refuse it. Put the right file back at {corpus.artifact_key}."
            )
        return read(path)

    try:
        return artifacts.read_local(corpus.artifact_key, checked)
    except FileNotFoundError as error:
        raise DocumentsError(
            f"The documents are not in the artifact store any more: {corpus.artifact_key} is "
            "missing. Evaluations on this corpus fail until the file is put back; registering the "
            "same documents again writes it anew."
        ) from error
    except OSError as error:
        raise DocumentsUnavailableError(
            f"The artifact store could not be read ({type(error).__name__}); try again in a "
            "moment, and look at the store if it stays so."
        ) from error


@lru_cache(maxsize=256)
def _digest(path: str, size: int, modified: int, inode: int) -> str:
    """The SHA-256 of a file; size, time and inode tell another file of the same name apart."""
    del size, modified, inode
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
