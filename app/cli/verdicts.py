"""`featuredrift verdicts`."""

from typing import Annotated, cast, get_args

import typer

from app.cli.console import print_json, print_table, say
from app.cli.evaluations import Evaluation
from app.cli.remote import Json, Limit, Url, any_of, connected, first
from app.verdicts.schemas import Comparison, Diagnosis, Sort, VerdictName, VerdictOut

_VERDICTS: tuple[str, ...] = get_args(VerdictName)
_DIAGNOSES: tuple[str, ...] = get_args(Diagnosis)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verdicts)


def verdicts(
    evaluation: Evaluation,
    comparison: Annotated[Comparison, typer.Option(help="Beside what.")] = "baseline",
    verdict: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VERDICT",
            help=f"{', '.join(_VERDICTS)}; may be repeated.",
            callback=any_of(_VERDICTS),
            show_default=False,
        ),
    ] = None,
    diagnosis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIAGNOSIS",
            help=f"{', '.join(_DIAGNOSES)}; may be repeated.",
            callback=any_of(_DIAGNOSES),
            show_default=False,
        ),
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only these; may be repeated.", show_default=False),
    ] = None,
    paged: Annotated[
        bool | None,
        typer.Option(help="Only what somebody is woken for, or only the rest.", show_default=False),
    ] = None,
    sort: Annotated[Sort, typer.Option(help="The worst first, or A to Z.")] = "effect",
    limit: Limit = 50,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List an evaluation's verdicts; --json holds all that each one rests on."""
    with connected(url) as client:
        listed = client.evaluations.verdicts(
            evaluation,
            comparison=comparison,
            verdict=cast(list[VerdictName], verdict or []),
            diagnosis=cast(list[Diagnosis], diagnosis or []),
            feature=feature or (),
            paged=paged,
            sort=sort,
        )
        found = first(listed, limit)
        state = "succeeded" if found else client.evaluations.get(evaluation).state
    if as_json:
        print_json([row.model_dump(mode="json") for row in found])
        return
    columns = ("feature", "verdict", "change", "effect", "interval", "margin", "diagnosis")
    print_table((*columns, "paged"), [_row(row) for row in found])
    if state != "succeeded":
        say(f"the evaluation is {state}: it has no verdicts")


def _row(row: VerdictOut) -> tuple[object, ...]:
    interval = ""
    if row.lower is not None and row.upper is not None:
        interval = f"{row.lower:.3g} to {row.upper:.3g}"
    effect = "" if row.effect is None else f"{row.estimand or 'effect'} {row.effect:.3g}"
    paged = "paged" if row.paged else ""
    return (
        *(row.feature, row.verdict, row.change, effect, interval, row.margin, row.diagnosis),
        paged,
    )
