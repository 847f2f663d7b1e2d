"""Rendered reports in the artifact store: what was answered once is answered again, byte by byte.

Only of evaluations that have succeeded, which nothing changes any more. The key names all that the
bytes depend on beside the evaluation: the form, and a digest of the program that renders. Two
processes that render at once write the same bytes under the same key.
"""

import hashlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import UUID

import app
from app.core.artifacts import ArtifactStore
from app.core.logging import get_logger

_LIBRARIES = ("featuredrift", "jinja2", "markupsafe", "pydantic", "vl-convert-python")
"""Distributions that decide what is written, `featuredrift` for the version in the foot."""

log = get_logger(__name__)


def kept(
    store: ArtifactStore, evaluation: UUID, form: str, render: Callable[[], tuple[bytes, bool]]
) -> bytes:
    """The report of an evaluation that has succeeded, from the store or rendered and put there.

    Args:
        render: its bytes, and whether they may be kept: they are not while a file is away.

    A store that cannot be read or written costs time and nothing else.
    """
    key = f"evaluations/{evaluation}/report-{PROGRAM}.{form}"
    try:
        return store.read_bytes(key)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("a kept report cannot be read", key=key, error=str(error))
    content, lasting = render()
    if not lasting:
        return content
    try:
        store.write_bytes(key, content)
        _forget_others(store, evaluation, form, key)
    except OSError as error:
        log.warning("a report cannot be kept", key=key, error=str(error))
    return content


def _forget_others(store: ArtifactStore, evaluation: UUID, form: str, key: str) -> None:
    """Remove what other releases rendered; who still runs one renders it again."""
    found = (one.key for one in store.objects(f"evaluations/{evaluation}"))
    old = [one for one in found if _is_report(one, form) and one != key]
    store.delete_keys(old)


def _is_report(key: str, form: str) -> bool:
    name = key.rpartition("/")[2]
    return name.startswith("report-") and name.endswith(f".{form}")


def _program() -> str:
    """A digest of the application's code and templates, and of the libraries that it writes with.

    Of all of the application, as a sentence of a report may come from anywhere in it.
    """
    root = Path(app.__file__).parent
    files = sorted(path for path in root.rglob("*") if path.suffix in (".py", ".j2", ".css"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for name in _LIBRARIES:
        try:
            digest.update(f"{name}=={version(name)}\0".encode())
        except PackageNotFoundError:
            digest.update(f"{name} is not installed\0".encode())
    return digest.hexdigest()[:16]


PROGRAM = _program()
"""Told when the program is loaded: its files may be replaced while it runs."""
