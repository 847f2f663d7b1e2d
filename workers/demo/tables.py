"""The demo's ending: three tables, 80 columns wide."""

import math
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from workers.demo.corpus import CONCEPTS
from workers.demo.line import LINE, Outcome

_VERDICTS = ("stable", "drifted", "inconclusive", "insufficient", "untrusted", "invalid")
_DIAGNOSES = ("rescaled", "rotated", "relocated", "lost", "dictionary_stale", "unexplained")
_STYLES = {"stable": "green", "drifted": "red", "pass": "green", "fail": "red"}
_ELSE = "yellow"
_LARGE = 100


def _table(title: str, caption: str | None = None) -> Table:
    return Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )


def outcomes_table(outcomes: Mapping[str, Outcome], mismatches: Mapping[str, list[str]]) -> Table:
    """Checkpoint × verdict counts, the gate, and what was expected beside it."""
    shown = [v for v in _VERDICTS if any(o.counts.get(v) for o in outcomes.values())]
    table = _table("What each checkpoint did to the features, and what it should have done")
    table.add_column("checkpoint", no_wrap=True)
    for verdict in shown:
        table.add_column(verdict[:5] + "." if len(verdict) > len("drifted") else verdict)
        table.columns[-1].justify = "right"
    table.add_column("FVU", justify="right")
    table.add_column("gate", no_wrap=True)
    table.add_column("expected")
    table.add_column("measured")
    for checkpoint in LINE:
        outcome = outcomes[checkpoint.name]
        table.add_row(
            checkpoint.name,
            *(str(outcome.counts.get(verdict, 0)) for verdict in shown),
            _number(outcome.fvu("candidate")),
            Text(outcome.gate, style=_STYLES.get(outcome.gate, _ELSE)),
            checkpoint.expected,
            Text("MISMATCH", style="bold red") if mismatches[checkpoint.name] else "as expected",
        )
    return table


def drift_table(outcomes: Mapping[str, Outcome], watched: list[str]) -> Table:
    """Watched feature × checkpoint: its largest effect in units of the margin it is judged by."""
    table = _table(
        "Drift of each watched feature, in margins: beyond 1, it counts",
        "i: fires on other tokens, m: other magnitudes, r: other rate, d: dead, b: born\n"
        "green: stable, red: drifted, yellow: neither is shown",
    )
    table.add_column("feature", no_wrap=True)
    for checkpoint in LINE:
        table.add_column(checkpoint.name, justify="right")
    for feature in watched:
        table.add_row(feature, *(_cell(outcomes[c.name], feature) for c in LINE))
    return table


def _cell(outcome: Outcome, feature: str) -> Text:
    row = outcome.verdicts.get(feature)
    if row is None:
        return Text("-")
    change = (row["change"] or "")[:1]
    return Text(_number(margins(row), 1) + change, style=_STYLES.get(row["verdict"], _ELSE))


def margins(row: Mapping[str, Any]) -> float:
    """A verdict's largest |effect| over its margin, of all its estimands; NaN without any."""
    sizes = [
        abs(estimate["effect"]) / estimate["margin"]
        for estimate in row["estimates"].values()
        if estimate["effect"] is not None and estimate["margin"]
    ]
    return max(sizes, default=math.nan)


def controls_table(outcome: Outcome) -> Table:
    """What each control found on the base, and which features it leaves untrusted."""
    table = _table("Negative controls: what must fail, fails; what must not change, does not")
    table.add_column("control", no_wrap=True)
    table.add_column("")
    table.add_column("found")
    for control in outcome.controls:
        failed = sorted(
            name
            for name, row in outcome.verdicts.items()
            if ((row["controls"] or {}).get(control["control"]) or {}).get("passed") is False
        )
        detail = control["detail"] + (f" Untrusted: {', '.join(failed)}." if failed else "")
        passed = control["passed"]
        word = {True: "passed", False: "failed", None: "not told"}[passed]
        style = {True: "green", False: "red", None: _ELSE}[passed]
        table.add_row(control["control"], Text(word, style=style), detail)
    tokens = sorted(name for name, row in outcome.verdicts.items() if row["token_level"])
    if tokens:
        table.caption = f"Read tokens, not what the model computes from them: {', '.join(tokens)}."
    return table


def diagnosis_table(outcomes: Mapping[str, Outcome]) -> Table:
    """Checkpoint × diagnosis of the drifted features, and what is proposed."""
    shown = [d for d in _DIAGNOSES if any(o.diagnoses.get(d) for o in outcomes.values())]
    table = _table(
        "Why features drifted, judged on documents that nothing was fitted to",
        "repairs: definitions proposed, and of these stable on held-out documents",
    )
    table.add_column("checkpoint", no_wrap=True)
    for diagnosis in shown:
        table.add_column(diagnosis.replace("_", " "), justify="right")
    table.add_column("repairs", justify="right")
    table.add_column("stable", justify="right")
    for checkpoint in LINE:
        outcome = outcomes[checkpoint.name]
        stable = sum(outcome.held_out(name) == "stable" for name in outcome.changes)
        table.add_row(
            checkpoint.name,
            *(str(outcome.diagnoses.get(diagnosis, "")) for diagnosis in shown),
            str(len(outcome.changes) or ""),
            str(stable or ""),
        )
    return table


def worth_table(verdicts: Mapping[str, Mapping[str, Any]]) -> Table:
    """AUROC of each concept's best latent beside its simple read-outs, on the probe documents."""
    table = _table(
        "What the features are worth: AUROC on files that nothing was trained or chosen on",
        "earns its keep: beats a lookup of the token, and no worse than a refitted probe",
    )
    columns = {
        "latent": "best single latent",
        "neuron": "best neuron",
        "direction": "difference of means",
        "probe": "logistic probe",
    }
    table.add_column("concept")
    for heading in columns.values():
        table.add_column(heading, justify="right")
    table.add_column("latent earns its keep", no_wrap=True)
    for concept in CONCEPTS:
        rows = [verdicts.get(f"{concept}-{kind}", {}) for kind in columns]
        values = [row.get("concept_auroc_baseline") for row in rows]
        keep = rows[0].get("earns_keep")
        table.add_row(
            concept,
            *("" if value is None else f"{value:.3f}" for value in values),
            "" if keep is None else keep.replace("_", " "),
        )
    return table


def _number(value: float, digits: int = 2) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.{digits}f}" if value < _LARGE else f">{_LARGE}"
