"""Loading what a stranger wrote, without network and without pickles.

Libraries that load checkpoints ask the hub for what they miss, even of a local folder, and some
fall back to pickles. Sources are fetched before, under their own rules; from then on nothing that
loads them in this thread may connect anywhere or unpickle an object. Heartbeats are another
thread's, and go on.
"""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from workers.errors import EvaluationError

_NETWORK = frozenset(
    {
        *("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"),
        *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"),
    }
)
_PICKLE = "pickle.find_class"
_NO_DEVICE_MEMORY = "OutOfMemoryError"
"""Torch's, by name: this module is also for those who have not imported it."""
_sealed = threading.local()
_installing = threading.Lock()
_installed = False


class RefusedError(RuntimeError):
    """Loading tried something that loading has no need of."""


@contextmanager
def sealed(what: object) -> Iterator[None]:
    """Refuse the network and pickles to this thread for the length of the block.

    Args:
        what: the source, for the message.

    Raises:
        EvaluationError: something in the block tried either.
    """
    _install()
    from huggingface_hub import constants

    before = getattr(_sealed, "deep", 0), constants.HF_HUB_OFFLINE
    _sealed.deep, constants.HF_HUB_OFFLINE = before[0] + 1, True
    try:
        yield
    except RefusedError as error:
        raise EvaluationError("source_unsafe", f"{what}: loading it {error}") from error
    finally:
        _sealed.deep, constants.HF_HUB_OFFLINE = before


@contextmanager
def blamed(code: str, what: str) -> Iterator[None]:
    """Hold what is read to blame for whatever a library raises over it: it would do so again.

    Libraries raise errors of any type over a configuration or a tokenizer that makes no sense. What
    may be this machine's fault passes as it is, to be tried again: no memory, disk or library.

    Raises:
        EvaluationError: with the code, and the library's words after `what`.
    """
    try:
        yield
    except (EvaluationError, RefusedError, SoftTimeLimitExceeded):
        raise
    except (OSError, MemoryError, ImportError):
        raise
    except Exception as error:
        if type(error).__name__ == _NO_DEVICE_MEMORY:
            raise
        said = " ".join(str(error).split())[:300]
        if not isinstance(error, ValueError | RuntimeError):
            said = f"{type(error).__name__}: {said}"
        raise EvaluationError(code, f"{what}: {said}") from error


def _install() -> None:
    # A hook is asked of every event for ever after: it is put in once, and only where it is needed.
    global _installed  # noqa: PLW0603 - a hook cannot be taken out again, nor be asked for
    with _installing:
        if not _installed:
            sys.addaudithook(_refuse)
            _installed = True


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not getattr(_sealed, "deep", 0):
        return
    if event in _NETWORK:
        if isinstance(arguments[0], socket.socket) and arguments[0].family == socket.AF_UNIX:
            return
        raise RefusedError(f"tried to reach the network ({event}), which only a hub source may")
    if event == _PICKLE:
        module, name = arguments
        raise RefusedError(f"tried to unpickle {module}.{name}, which can run code")
