"""`featuredrift audit verify|head|list`: who did what, and whether the record of it is whole."""

from typing import Annotated

import typer

from app.cli.console import complain, out, print_json, print_table, say
from app.cli.remote import Exit, Json, Limit, Url, connected, first

_ExpectHead = Annotated[
    str | None,
    typer.Option(
        "--expect-head",
        metavar="POSITION:HASH",
        show_default=False,
        help="A head from earlier, as `audit head` printed it: the chain must still hold it.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("verify")(verify)
    group.command("head")(head)
    group.command("list")(list_events)
    app.add_typer(group, name="audit", help="The audit trail: who did what, and that it is whole.")


def verify(expect_head: _ExpectHead = None, as_json: Json = False) -> None:
    """Find changed, removed, moved or inserted entries; exit 1 if there is one.

    Reads the database itself, with DATABASE_URL: the API could be what was tampered with.
    """
    from app.access import audit_chain
    from app.cli.own_database import own_database

    expected = audit_chain.parse_head(expect_head) if expect_head is not None else None
    with own_database("audit") as (database, _):
        result = audit_chain.verify(database, expected)
    if as_json:
        print_json(result.to_json())
    else:
        for finding in result.findings:
            out.print(f"{finding.kind}: {finding.detail}", markup=False)
        if result.found > len(result.findings):
            say(f"and {result.found - len(result.findings)} more")
        if result.whole:
            out.print(f"whole: {result.entries} entries, head {result.head}", markup=False)
    if not result.whole:
        complain(f"the audit trail is not whole: {result.found} found in {result.entries} entries")
        raise typer.Exit(Exit.REFUSED)
    if expected is None and not as_json:
        say("keep the head elsewhere; --expect-head then finds a trail that was replaced whole")


def head(as_json: Json = False) -> None:
    """Print the chain's head, POSITION:HASH: what `verify --expect-head` takes."""
    from app.access.audit_chain import read_head
    from app.cli.own_database import own_database

    with own_database("audit") as (database, _), database.unit_of_work() as session:
        found = read_head(session)
    if found is None:
        complain("the chain has no head; `featuredrift audit verify` says what is wrong")
        raise typer.Exit(Exit.REFUSED)
    if as_json:
        print_json({"head": str(found), "position": found.position, "hash": found.hash})
    else:
        out.print(str(found), markup=False)


def list_events(
    actor: Annotated[str | None, typer.Option(help="Who did it.", show_default=False)] = None,
    action: Annotated[
        str | None, typer.Option(help="Such as repair.accepted.", show_default=False)
    ] = None,
    subject_kind: Annotated[
        str | None, typer.Option(help="Such as monitor.", show_default=False)
    ] = None,
    subject_id: Annotated[
        str | None, typer.Option(help="The id of what it was done to.", show_default=False)
    ] = None,
    limit: Limit = 50,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List what was done, newest first; needs a key with the scope admin."""
    with connected(url) as client:
        listed = client.audit.list(
            actor=actor, action=action, subject_kind=subject_kind, subject_id=subject_id
        )
        found = first(listed, limit)
    if as_json:
        print_json([event.model_dump(mode="json") for event in found])
        return
    rows = [
        (event.at, event.action, event.subject_id, event.actor, event.principal, event.model)
        for event in found
    ]
    print_table(("at", "action", "subject", "actor", "key", "model"), rows)
