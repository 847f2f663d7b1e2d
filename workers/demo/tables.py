"""The demo's ending: three tables."""

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from workers.demo.corpus import CONCEPTS
from workers.demo.line import LINE, Outcome

_VERDICTS = ("stable", "drifted", "inconclusive", "insufficient", "untrusted", "invalid")
_STYLES = {
    "stable": "green",
    "drifted": "red",
    "pass": "green",
    "fail": "red",
}
_ELSE = "yellow"
_IDENTITY = ("identity_sparse", "identity_dense")


def outcomes_table(outcomes: Mapping[str, Outcome], mismatches: Mapping[str, list[str]]) -> Table:
    """Checkpoint × verdict counts, the gate, and what was expected beside it."""
    shown = [v for v in _VERDICTS if any(o.counts.get(v) for o in outcomes.values())]
    table = Table(title="What each checkpoint did to the features", title_justify="left")
    table.add_column("checkpoint", no_wrap=True)
    for verdict in shown:
        table.add_column(verdict, justify="right")
    table.add_column("FVU", justify="right")
    table.add_column("gate")
    table.add_column("expected", overflow="fold")
    table.add_column("")
    for checkpoint in LINE:
        outcome = outcomes[checkpoint.name]
        fvu = outcome.fvu("candidate")
        table.add_row(
            checkpoint.name,
            *(str(outcome.counts.get(verdict, 0)) for verdict in shown),
            "" if fvu != fvu else f"{fvu:.2f}",
            Text(outcome.gate, style=_STYLES.get(outcome.gate, _ELSE)),
            checkpoint.expected,
            Text("mismatch", style="bold red") if mismatches[checkpoint.name] else "as expected",
        )
    return table


def drift_table(outcomes: Mapping[str, Outcome], watched: list[str]) -> Table:
    """Watched feature × checkpoint: the identity effect, coloured by verdict.

    Identity is 1 − J (Jaccard overlap of firing tokens) for latents and 1 − CCC (Lin's
    concordance) for the others: 0 is the same feature, 1 has nothing to do with it.
    """
    table = Table(
        title="How far each watched feature moved (0: the same tokens, 1: other tokens)",
        title_justify="left",
        caption="green: stable, red: drifted, yellow: neither shown",
        caption_justify="left",
    )
    table.add_column("feature", no_wrap=True)
    for checkpoint in LINE:
        table.add_column(checkpoint.name, justify="right", overflow="fold")
    for feature in watched:
        table.add_row(feature, *(_cell(outcomes[c.name], feature) for c in LINE))
    return table


def _cell(outcome: Outcome, feature: str) -> Text:
    row = outcome.verdicts.get(feature)
    if row is None:
        return Text("-")
    estimates = row["estimates"]
    effect = next((estimates[k]["effect"] for k in _IDENTITY if k in estimates), None)
    style = _STYLES.get(row["verdict"], _ELSE)
    return Text(row["verdict"] if effect is None else f"{effect:.2f}", style=style)


def worth_table(verdicts: Mapping[str, Mapping[str, object]]) -> Table:
    """AUROC of each concept's best latent beside its simple read-outs, on the probe documents."""
    kinds = ("latent", "neuron", "direction", "probe")
    table = Table(
        title="What the features are worth: AUROC on files that nothing was trained on",
        title_justify="left",
    )
    table.add_column("concept")
    for kind in ("best single latent", "best neuron", "difference of means", "logistic probe"):
        table.add_column(kind, justify="right")
    for concept in CONCEPTS:
        cells = []
        for kind in kinds:
            row = verdicts.get(f"{concept}-{kind}")
            value = None if row is None else row["concept_auroc_baseline"]
            cells.append(f"{value:.3f}" if isinstance(value, float) else "")
        table.add_row(concept, *cells)
    return table
