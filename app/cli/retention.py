"""`featuredrift retention plan|run`: what would go, and letting it go."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.cli.console import out, print_json, say

if TYPE_CHECKING:
    from app.core.artifacts import ArtifactStore
    from app.core.database import Database
    from app.retention.plan import Plan
    from app.retention.rules import Rules, Scope

Result = TypeVar("Result")

_SHOWN = 100
_Json = Annotated[bool, typer.Option("--json", help="As JSON, with every item.")]
_Policies = Annotated[
    bool, typer.Option("--policies-only", help="Only what a monitor's policy lets go.")
]
_Grace = Annotated[
    float | None,
    typer.Option(help="Seconds from the mark to the deletion; default: the setting.", min=0),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("plan")(plan)
    group.command("run")(run)
    app.add_typer(group, name="retention", help="What is kept, and letting the rest go.")


def plan(as_json: _Json = False, policies_only: _Policies = False) -> None:
    """List what would go, why, and how many bytes; nothing is changed."""
    from app.retention.plan import make_plan

    _print(_with(make_plan, policies_only, None), as_json)


def run(
    as_json: _Json = False,
    policies_only: _Policies = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="As `retention plan`.")] = False,
    grace: _Grace = None,
) -> None:
    """Mark what nobody keeps; delete what has been marked for longer than the grace period."""
    from app.retention.collector import collect
    from app.retention.plan import make_plan

    if dry_run:
        _print(_with(make_plan, policies_only, grace), as_json)
        return
    outcome = _with(collect, policies_only, grace)
    if as_json:
        print_json(outcome.to_json())
        return
    out.print(
        f"marked {outcome.marked}, kept again {outcome.unmarked}, deleted {outcome.collected} "
        f"({_size(outcome.bytes)}), waiting {outcome.waiting}",
        markup=False,
    )


def _with(
    work: "Callable[[Database, ArtifactStore, Rules, Scope], Result]",
    policies_only: bool,
    grace: float | None,
) -> Result:
    from dataclasses import replace

    from app.cli.own_database import own_database
    from app.core.artifacts import ArtifactStore
    from app.retention.rules import Rules

    with own_database("retention", pool_size=2) as (database, settings):
        rules = Rules.of(settings)
        if grace is not None:
            rules = replace(rules, grace=timedelta(seconds=grace))
        cache = settings.data_dir.resolve() / "cache" / "artifacts"
        store = ArtifactStore(settings.artifacts, cache)
        return work(database, store, rules, "policies" if policies_only else "all")


def _print(found: "Plan", as_json: bool) -> None:
    if as_json:
        print_json(found.to_json())
        return
    for note in found.notes:
        say(note)
    by_size = sorted(found.items, key=lambda item: (-item.bytes, item.key))
    for item in by_size[:_SHOWN]:
        due = f"due {item.due_at:%Y-%m-%d %H:%M}Z" if item.due_at else "to be marked"
        line = f"{_size(item.bytes):>10}  {due:20}  {item.kind:10}  {item.key}  ({item.reason})"
        out.print(line, markup=False)
    if len(by_size) > _SHOWN:
        say(f"and {len(by_size) - _SHOWN} smaller ones; --json lists them all")
    if found.unknown:
        say(
            f"{len(found.unknown)} files are none that the service writes and are left alone, for "
            f"example {found.unknown[0]}"
        )
    total = sum(item.bytes for item in found.items)
    out.print(f"{len(by_size)} things would go, {_size(total)}", markup=False)


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
