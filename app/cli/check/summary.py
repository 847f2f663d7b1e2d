"""The answer for a person at a terminal."""

from app.cli.check.evidence import Evidence, Outcome, pages
from app.cli.check.terminal import harmless, say, show_line
from app.cli.check.words import against, counts, measured, named, plural, repaired
from app.cli.console import out

SHOWN = 10
_STYLES = {"pass": "bold green", "fail": "bold red"}


def show(outcome: Outcome) -> None:
    """Print it: the answer, and of each monitor what speaks for or against it."""
    out.print(outcome.gate, style=_STYLES.get(outcome.gate, "bold yellow"), end="")
    out.print(f"  {harmless(f'{outcome.model} {outcome.checkpoint}')}", markup=False)
    for reason in outcome.general:
        _line(1, f"- {reason['detail']}")
    for one in outcome.monitors:
        _monitor(outcome, one)
    if outcome.trouble:
        say(f"note: {outcome.trouble}")


def _monitor(outcome: Outcome, one: Evidence) -> None:
    _line(1, f"{one.monitor}{against(one)}: {counts(one)}")
    for reason in one.reasons:
        _line(2, f"- {reason['detail']}{named(reason)}")
    if one.drifted:
        width = max(len(row["feature"]) for row in one.drifted[:SHOWN])
        for row in one.drifted[:SHOWN]:
            diagnosis = f"; {row['diagnosis']}" if row["diagnosis"] else ""
            _line(2, f"{row['feature']:{width}}  {measured(row)}{diagnosis}")
        if len(one.drifted) > SHOWN:
            _line(2, f"and {plural(len(one.drifted) - SHOWN, 'more drifted feature')}")
    for repair in one.repairs:
        _line(2, f"repair proposed: {repaired(repair)}")
    for name, link in pages(outcome, one).items():
        _line(2, f"{name}: {link}")
    for note in one.standing["notes"]:
        say(f"note: {one.monitor}: {note}")


def _line(depth: int, text: str) -> None:
    show_line(f"{'  ' * depth}{text}")
