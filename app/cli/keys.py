"""`featuredrift keys …`: straight to Postgres, so that the first key needs none."""

import getpass
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import typer
from pydantic import BaseModel, ValidationError

from app.cli.console import out, print_json, say
from app.core.clock import now
from app.core.errors import StartError
from app.settings import Settings, get_settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.access.keys_tables import ApiKey

Result = TypeVar("Result")
Body = TypeVar("Body", bound=BaseModel)

_DURATION = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

_Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
_By = Annotated[
    str | None, typer.Option(help="Who does it, for the audit trail; default: your account.")
]
_Which = Annotated[str, typer.Argument(help="The key's name or id.", metavar="KEY")]
_Expires = Annotated[
    str | None, typer.Option("--expires-in", help="How long it works: 12h, 90d; default: forever.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    for command in (create, rotate, revoke, generate):
        group.command()(command)
    group.command("list")(list_keys)
    app.add_typer(group, name="keys", help="API keys: who may do what.")


def create(
    name: Annotated[str, typer.Argument(help="Stands in the audit trail.")],
    scope: Annotated[str, typer.Option(help="read, write, admin, or metrics.")] = "read",
    model: Annotated[
        list[str] | None,
        typer.Option(help="Bind the key to a model; may be repeated. Default: all models."),
    ] = None,
    expires_in: _Expires = None,
    by: _By = None,
    as_json: _Json = False,
) -> None:
    """Make a key and print it, this once."""
    from app.access import keys_service as service
    from app.access.keys_schemas import ApiKeyCreate
    from app.core.references import referred_to_by
    from app.registry.service.models import find_model

    values: dict[str, Any] = {"name": name, "scope": scope, "by": by or getpass.getuser()}
    if model:
        values["models"] = model
    if expires_in is not None:
        values["expires_at"] = now() + timedelta(seconds=_duration(expires_in))
    body = _checked(ApiKeyCreate, values)

    def work(session: "Session", settings: Settings) -> "tuple[ApiKey, str]":
        for one in body.models or ():
            with referred_to_by("model"):
                find_model(session, one)
        return service.create(session, body, _pepper(settings))

    _show(*_with(work), as_json)


def list_keys(
    as_json: _Json = False,
    every: Annotated[bool, typer.Option("--all", help="Revoked ones too.")] = False,
) -> None:
    """List keys: whose they are, what for, and when they were used last."""
    from app.access import keys_repository as repository
    from app.access import keys_service as service

    def work(session: "Session", _settings: Settings) -> list[dict[str, Any]]:
        found: list[ApiKey] = []
        while True:
            after = found[-1].id if found else None
            page = repository.list_keys(
                session, revoked=None if every else False, after=after, limit=500
            )
            found += page[:500]
            if len(page) <= 500:
                return [service.present(row).model_dump(mode="json") for row in found]

    rows = _with(work)
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("there are no keys; `featuredrift keys create NAME --scope admin` makes one")
    for row in rows:
        models = ", ".join(row["models"]) if row["models"] is not None else "all models"
        state = f"revoked {row['revoked_at']}" if row["revoked_at"] else ""
        state = state or (f"until {row['expires_at']}" if row["expires_at"] else "no end")
        used = f"used {row['last_used_at']}" if row["last_used_at"] else "never used"
        line = f"{row['name']:24} {row['scope']:7} {row['hint']}  {models}; {state}; {used}"
        out.print(line, markup=False)


def rotate(
    which: _Which,
    overlap: Annotated[
        str, typer.Option(help="How long the old key works beside the new one: 0s, 1h, 7d.")
    ] = "1d",
    expires_in: _Expires = None,
    by: _By = None,
    as_json: _Json = False,
) -> None:
    """Replace a key and print the new one, this once."""
    from app.access import keys_service as service
    from app.access.keys_schemas import KeyRotation

    values: dict[str, Any] = {"overlap": _duration(overlap), "by": by or getpass.getuser()}
    if expires_in is not None:
        values["expires_at"] = now() + timedelta(seconds=_duration(expires_in))
    body = _checked(KeyRotation, values)

    def work(session: "Session", settings: Settings) -> "tuple[ApiKey, str]":
        return service.rotate(session, _find(session, which), body, _pepper(settings))

    _show(*_with(work), as_json)


def revoke(
    which: _Which,
    note: Annotated[str | None, typer.Option(help="Why, for the audit trail.")] = None,
    by: _By = None,
    as_json: _Json = False,
) -> None:
    """End a key now."""
    from app.access import keys_service as service
    from app.access.keys_schemas import Revocation

    body = _checked(Revocation, {"by": by or getpass.getuser(), "note": note})
    row = _with(lambda session, _: service.revoke(session, _find(session, which), body))
    if as_json:
        print_json(service.present(row).model_dump(mode="json"))
    else:
        say(f"revoked {row.name}")


def generate(as_json: _Json = False) -> None:
    """Print a whole key that is kept nowhere: for FEATUREDRIFT_BOOTSTRAP_KEY or _METRICS_KEY."""
    from app.core.key_text import new_key

    if as_json:
        print_json({"key": new_key()})
    else:
        out.print(new_key(), markup=False)


def _show(row: "ApiKey", key: str, as_json: bool) -> None:
    from app.access import keys_service as service

    if as_json:
        print_json(service.present_with_key(row, key).model_dump(mode="json"))
        return
    say(f"{row.name}: {row.scope}, {', '.join(row.models) if row.models else 'all models'}")
    say("This is the only time that the key is shown:")
    out.print(key, markup=False)


def _find(session: "Session", which: str) -> UUID:
    from app.access import keys_repository as repository

    row = repository.get_working_by_name(session, which)
    if row is not None:
        return row.id
    try:
        return UUID(which)
    except ValueError:
        raise StartError(
            f"There is no working key {which!r}; `featuredrift keys list` shows them."
        ) from None


def _pepper(settings: Settings) -> bytes:
    """The pepper; made on the spot where the data folder is the whole deployment."""
    from app.access.keys_pepper import make_pepper, read_pepper
    from app.access.keys_service import require_pepper

    if "database_url" not in get_settings().model_fields_set:
        return make_pepper(settings)
    return require_pepper(read_pepper(settings))


def _duration(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise StartError(f"{text!r} is no duration; write 30s, 45m, 12h or 90d.")
    return int(match[1]) * _SECONDS[match[2]]


def _checked(kind: type[Body], values: dict[str, Any]) -> Body:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise StartError(f"{place}: {first['msg']} (given: {first.get('input')!r})") from None


def _with(work: "Callable[[Session, Settings], Result]") -> Result:
    """Work in one transaction on the configured database, else on the running `up`'s."""
    from app.cli.own_database import own_database

    with own_database("keys") as (database, settings), database.unit_of_work() as session:
        return work(session, settings)
