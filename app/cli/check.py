"""`check`: ask the gate whether a checkpoint may be released, and exit accordingly."""

import json
import time
from enum import IntEnum
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer

from app.cli.console import complain, out, print_json, say
from app.core.errors import InvalidInputError
from app.core.waiting import parse_duration
from app.settings import get_settings

_POLL_SECONDS = 30
_PAUSE = 1.0


class Exit(IntEnum):
    """What the exit code says."""

    PASS = 0
    FAIL = 1
    INCONCLUSIVE = 2
    ERROR = 3


class CheckError(Exception):
    """The question could not be put, or has no answer; the message says why."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    checkpoint: Annotated[str, typer.Argument(help="The checkpoint's name.")],
    source: Annotated[
        str | None, typer.Option(help="Register the checkpoint with this source first.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of the source.")] = None,
    parent: Annotated[str | None, typer.Option(help="The checkpoint that it came from.")] = None,
    wait: Annotated[str, typer.Option(help="How long to wait for the answer: 90s, 30m, 2h.")] = (
        "30m"
    ),
    url: Annotated[
        str | None, typer.Option(envvar="FEATUREDRIFT_URL", help="Where the API is.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the gate as JSON.")] = False,
) -> None:
    """Ask the gate about a checkpoint.

    Exit code: 0 pass, 1 fail, 2 inconclusive or not decided within --wait, 3 error.
    """
    try:
        settings = get_settings()
        base = url or f"http://{settings.host}:{settings.port}"
        deadline = time.monotonic() + parse_duration(wait)
        with httpx.Client(base_url=base, timeout=_POLL_SECONDS + 30) as client:
            if source is not None:
                body = {"name": checkpoint, "source": source}
                extra = {"revision": revision, "parent": parent}
                _register(client, model, body | {k: v for k, v in extra.items() if v is not None})
            gate = _wait_for_gate(client, model, checkpoint, deadline)
    except CheckError as error:
        complain(str(error))
        raise typer.Exit(Exit.ERROR) from None
    except InvalidInputError as error:
        complain(error.detail)
        raise typer.Exit(Exit.ERROR) from None
    _print(gate, as_json)
    if gate["gate"] == "pending":
        say(f"not decided within {wait}; ask again with a longer --wait")
    raise typer.Exit({"pass": Exit.PASS, "fail": Exit.FAIL}.get(gate["gate"], Exit.INCONCLUSIVE))


def _register(client: httpx.Client, model: str, body: dict[str, str]) -> None:
    response = _send(client, "POST", f"/v1/models/{quote(model, safe='')}/checkpoints", json=body)
    said = "registered" if response.status_code != httpx.codes.OK else "was registered already:"
    say(f"{said} {model} {body['name']}")


def _wait_for_gate(
    client: httpx.Client, model: str, checkpoint: str, deadline: float
) -> dict[str, Any]:
    """Long-poll until the gate has decided, or time is up; an API that restarts is waited for."""
    path = f"/v1/models/{quote(model, safe='')}/checkpoints/{quote(checkpoint, safe='')}/gate"
    answered = False
    while True:
        left = deadline - time.monotonic()
        try:
            seconds = max(0, min(_POLL_SECONDS, int(left)))
            response = _send(client, "GET", path, params={"wait": f"{seconds}s"})
        except UnavailableNowError:
            if not answered or left <= 0:
                raise
            time.sleep(min(_PAUSE, max(0.0, left)))
            continue
        answered = True
        gate: dict[str, Any] = response.json()
        if gate["gate"] != "pending" or left <= 0:
            return gate
        time.sleep(min(_PAUSE / 5, max(0.0, left)))


class UnavailableNowError(CheckError):
    """The API does not answer now; it may soon."""


def _send(client: httpx.Client, method: str, path: str, **arguments: Any) -> httpx.Response:
    try:
        response = client.request(method, path, **arguments)
    except httpx.TransportError as error:
        raise UnavailableNowError(
            f"The API at {client.base_url} does not answer: {error}. Start it (`featuredrift up`), "
            "or name another by --url or FEATUREDRIFT_URL."
        ) from error
    except httpx.InvalidURL as error:
        raise CheckError(f"{client.base_url} is no URL: {error}") from error
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise UnavailableNowError(_problem(response))
    if response.is_error:
        raise CheckError(_problem(response))
    return response


def _problem(response: httpx.Response) -> str:
    """The detail of a problem document, or what else the answer says."""
    try:
        document = response.json()
        detail = document["detail"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return f"{response.request.url} answered {response.status_code}: {response.text[:300]}"
    field = f" (field {document['field']!r})" if document.get("field") else ""
    return f"{detail}{field}"


def _print(gate: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(gate)
        return
    style = {"pass": "bold green", "fail": "bold red"}.get(gate["gate"], "bold yellow")
    out.print(gate["gate"], style=style)
    for reason in gate["reasons"]:
        monitor = f"{reason['monitor']}: " if reason["monitor"] else ""
        features = f" ({', '.join(reason['features'])})" if reason["features"] else ""
        out.print(f"  - {monitor}{reason['detail']}{features}", markup=False)
    for standing in gate["monitors"]:
        for note in standing["notes"]:
            say(f"note: {standing['monitor']}: {note}")
