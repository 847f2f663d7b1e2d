"""What commands that ask the API share: its address, options, and what is said on an error."""

import getpass
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from enum import IntEnum
from typing import Annotated, TypeVar

import typer

from app.cli.console import complain, plain, say
from app.client import (
    ApiError,
    Client,
    ClientError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from app.settings import get_settings

Item = TypeVar("Item")

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="FEATUREDRIFT_URL",
        show_default=False,
        help="Where the API is; default: this machine. The key is read from FEATUREDRIFT_API_KEY.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, to stdout.")]
Limit = Annotated[
    int, typer.Option("--limit", "-n", min=0, help="At most so many, newest first; 0: all.")
]
By = Annotated[
    str | None,
    typer.Option(
        help="Who does it, for the audit trail; default: your user name on this machine.",
        show_default=False,
    ),
]
Note = Annotated[str | None, typer.Option(help="Why, for the audit trail.", show_default=False)]

_NAMES = 1000
_GOES_ON = {
    "unknown_model": "`featuredrift models list` shows all, `models create` makes one",
    "unknown_checkpoint": "`featuredrift checkpoints list MODEL` shows all",
    "unknown_alias": "`featuredrift models show MODEL` shows all, `checkpoints alias` makes one",
    "unknown_monitor": "`featuredrift monitors list` shows all, `monitors create` makes one",
    "unknown_corpus": "`featuredrift corpora list` shows all, `corpora import` makes one",
    "unknown_dictionary": "`featuredrift dictionaries list` shows all",
    "unknown_feature_set": "`featuredrift feature-sets list` shows all",
    "unknown_evaluation": "`featuredrift evaluations list` shows all",
    "unknown_alert": "`featuredrift alerts list` shows all",
    "unknown_repair": "`featuredrift repairs list` shows all",
}
_IDS = ("evaluation", "alert", "repair")


class Exit(IntEnum):
    """What the exit code of a command that asks the API says; 2 is a mistyped command line."""

    REFUSED = 1
    UNREACHABLE = 3
    NOT_ALLOWED = 4
    INTERRUPTED = 130


@contextmanager
def connected(url: str | None, *, timeout: float = 30.0, retries: int = 2) -> Iterator[Client]:
    """A client; what goes wrong with it is said in a line or two, and ends the command.

    Raises:
        typer.Exit: with the code that says what kind of error it was.
    """
    client = None
    try:
        client = Client(url or local_url(), timeout=timeout, retries=retries)
        yield client
    except ClientError as error:
        complain(plain(str(error)))
        if isinstance(error, ApiError):
            if isinstance(error, NotFoundError | InvalidInputError) and client is not None:
                _suggest(client, error)
            if error.status >= 500 and error.request_id:
                say(f"the server's log has more under {plain(error.request_id)}")
        raise typer.Exit(_exit_of(error)) from None
    finally:
        if client is not None:
            client.close()


def local_url() -> str:
    """Where `featuredrift up` on this machine serves by its settings."""
    settings = get_settings()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def first(items: Iterable[Item], limit: int) -> list[Item]:
    """The first so many, saying so when there are more; 0: all."""
    if limit == 0:
        return list(items)
    found = list(itertools.islice(items, limit + 1))
    if len(found) > limit:
        say(f"there are more than {limit}; --limit 0 shows all")
    return found[:limit]


def any_of(words: Sequence[str]) -> Callable[[list[str] | None], list[str] | None]:
    """Checks each of an option's values, which the library does only where there is one."""

    def check(values: list[str] | None) -> list[str] | None:
        for value in values or ():
            if value not in words:
                raise typer.BadParameter(f"{value!r} is not one of {', '.join(words)}")
        return values

    return check


def who(by: str | None) -> str:
    """Who does it.

    Raises:
        typer.Exit: nobody is named, and this account has no name either.
    """
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        complain("this account has no name; say by --by who does it")
        raise typer.Exit(Exit.REFUSED) from None


def complete_models(incomplete: str) -> list[str]:
    """Names of models that begin so, for the shell."""
    return _complete(incomplete, lambda client: (m.name for m in client.models.list()))


def complete_monitors(incomplete: str) -> list[str]:
    """Names of monitors that begin so, for the shell."""
    return _complete(incomplete, lambda client: (m.name for m in client.monitors.list()))


def complete_checkpoints(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the model's checkpoints that begin so, for the shell."""
    model = ctx.params.get("model")
    if not model:
        return []
    return _complete(incomplete, lambda client: (c.name for c in client.checkpoints.list(model)))


def _complete(incomplete: str, names: Callable[[Client], Iterable[str]]) -> list[str]:
    try:
        with Client(None, timeout=1.0, retries=0) as client:
            found = itertools.islice(names(client), _NAMES)
            return [name for name in found if name.startswith(incomplete)]
    except ClientError:
        # A shell that completes a line has nowhere to show an error.
        return []


def _exit_of(error: ClientError) -> Exit:
    if isinstance(error, UnauthorizedError | ForbiddenError):
        return Exit.NOT_ALLOWED
    return Exit.UNREACHABLE if isinstance(error, UnreachableError) else Exit.REFUSED


def what_shows(error: ApiError) -> str:
    """Which command shows what there is, where something was not found; else nothing."""
    return _GOES_ON.get(_subject(error), "")


def _subject(error: ApiError) -> str:
    if error.code == "invalid_input" and error.field in _IDS:
        return f"unknown_{error.field}"
    return error.code


def _suggest(client: Client, error: ApiError) -> None:
    """What was perhaps meant, and what shows all that there is."""
    code = _subject(error)
    if code not in _GOES_ON:
        return
    try:
        names = list(itertools.islice(_names(client, code, error), _NAMES))
    except ClientError:
        names = []
    near = get_close_matches(str(error.value), names, n=3, cutoff=0.6)
    if near:
        say(f"did you mean {' or '.join(plain(name) for name in near)}?")
    say(_GOES_ON[code])


def _names(client: Client, code: str, error: ApiError) -> Iterable[str]:
    """The names that there are, of the kind that was not found."""
    if code == "unknown_model":
        return (found.name for found in client.models.list())
    if code == "unknown_monitor":
        return (found.name for found in client.monitors.list())
    if code == "unknown_corpus":
        return (found.name for found in client.corpora.list())
    if code == "unknown_dictionary":
        return (found.name for found in client.dictionaries.list())
    if code == "unknown_feature_set":
        return (found.name for found in client.feature_sets.list())
    place = str(error.problem.get("instance") or "").split("/")
    if place[:3] == ["", "v1", "models"] and len(place) > 3:
        if code == "unknown_checkpoint":
            return (found.name for found in client.checkpoints.list(place[3]))
        if code == "unknown_alias":
            return (found.name for found in client.aliases.list(place[3]))
    return ()
