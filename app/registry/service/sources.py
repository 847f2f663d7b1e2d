"""Reading what a caller points at: what goes wrong there is the caller's to mend."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.core.errors import InvalidInputError
from app.sources.locations import Place, check_under_roots, place_of

MAX_FILE_BYTES = 256 << 20


@contextmanager
def reading(source: str) -> Iterator[None]:
    """Name the source when the operating system or the URL parser refuses it.

    Raises:
        InvalidInputError: instead of OSError, ValueError, and the RuntimeError of a link loop.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInputError(
            f"{source!r} cannot be read: {reason}",
            code="source_unreadable",
            field="source",
            value=source,
        ) from error


def read_local_file(uri: str, roots: Sequence[Path]) -> bytes:
    """The bytes of a file under an allowed root.

    Raises:
        InvalidInputError: it is not local, outside the roots, missing or over 256 MiB.
    """
    with reading(uri):
        if place_of(uri) is not Place.LOCAL:
            raise InvalidInputError(
                f"{uri!r} is not a local file; copy it under an allowed root, or send the "
                "documents as the body",
                code="source_unsupported",
                field="uri",
                value=uri,
            )
        path = Path(uri.removeprefix("file://")).resolve()
        check_under_roots(path, roots, uri)
        if not path.is_file():
            raise InvalidInputError(
                f"there is no file {uri!r}; it must be readable by the API",
                code="source_missing",
                field="uri",
                value=uri,
            )
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InvalidInputError(
                f"{uri!r} has {size} bytes; at most {MAX_FILE_BYTES} are read as one corpus",
                code="source_too_large",
                field="uri",
                value=uri,
            )
        return path.read_bytes()
