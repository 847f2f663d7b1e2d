"""The evidence for one feature as Markdown."""

from collections.abc import Iterator, Sequence

from app.reports.model import Feature
from app.reports.parts import EstimateLine
from app.reports.shading import Run, shade
from app.reports.text import code
from app.reports.text import markdown as md
from app.reports.words import count, interval, number, quantity, scale_of

_PASSAGES = 4
_STRONG = 3
"""Levels of activation from which a token is bold."""
OUTCOMES = {"held": "held", "failed": "**failed**", "not_told": "not told", "left_out": "left out"}


def evidence(f: Feature) -> Iterator[str]:
    yield from _estimates(f.estimates)
    if f.step is not None:
        scale = scale_of(f.step.estimand or "")
        yield (
            f"- since the previous checkpoint: {f.step.verdict}, {word(f.step.estimand)} "
            f"{quantity(f.step.effect, scale)} ({interval(f.step.lower, f.step.upper, scale)})"
        )
    if f.page is not None:
        woken = "someone is woken" if f.paged else "no page"
        yield f"- simultaneous intervals at level {number(f.page.alpha)}: {woken}"
    if f.trend is not None:
        alarm = "the moving average has left its bound" if f.slow_drift else "none shown"
        yield (
            f"- slow drift: {alarm}; {word(f.trend.estimand)} {number(f.trend.level)}, limit "
            f"{number(f.trend.limit)}, over {count(f.trend.checkpoints or 0, 'checkpoint')}"
        )
    if f.diagnosis is not None:
        label = f.diagnosis.label.replace("_", " ")
        yield f"- diagnosis: **{label}**. {md(f.diagnosis.meaning)} {md(f.diagnosis.reason)}"
        if f.diagnosis.no_repair:
            yield f"- no repair of its own: {md(f.diagnosis.no_repair)}"
    if f.repair is not None:
        yield (
            f"- proposed repair: {md(f.repair.old or 'the latent')} → "
            f"{md(f.repair.new or 'a realigned dictionary')}; accepted by "
            f"{code(f'POST /v1/repairs/{f.repair.repair}:accept')}"
        )
    if f.baselines is not None:
        yield f"- earns its keep: {word(f.baselines.earns_keep)}. {md(f.baselines.reason)}"
        for b in f.baselines.lines:
            yield (
                f"  - {b.baseline}: AUROC {number(b.auroc)} ({interval(b.lower, b.upper)}); the "
                f"feature is ahead by {number(b.difference)} "
                f"({interval(b.difference_lower, b.difference_upper)})"
            )
    if f.causal is not None:
        change = f" {md(f.causal.change)}" if f.causal.change else ""
        yield f"- causal effect: {word(f.causal.verdict)}. {md(f.causal.reason)}{change}"
    for r in f.robustness:
        yield (
            f"- agreement with variants {md(r.perturbation)}: {number(r.baseline)} before, "
            f"{number(r.candidate)} after, {count(r.pairs, 'pair')}"
        )
    for c in f.controls:
        yield f"- control {word(c.control)}: {OUTCOMES[c.outcome]}. {md(c.detail)}"
    yield ""
    if f.passages:
        yield "Tokens at which it is strong stand in ⟦ ⟧, its value at the chosen place in ( ):"
        yield ""
        for p in shade(f.passages[:_PASSAGES]):
            chosen = "changed most" if p.kind == "changed" else "strongest on the baseline"
            yield f"- {chosen}, document {md(p.document)}, characters {p.start} to {p.end}"
            yield f"  - before: {_runs(p.before)}"
            yield f"  - after: {_runs(p.after)}"
    elif f.passages_missing:
        yield f"No passages: {md(f.passages_missing)}"
    yield ""


def _estimates(lines: Sequence[EstimateLine]) -> Iterator[str]:
    rows = []
    for e in lines:
        between = interval(e.lower, e.upper, e.scale)
        if e.interval_missing:
            between = f"none: {md(e.interval_missing)}"
        effect, margin = quantity(e.effect, e.scale), quantity(e.margin, e.scale)
        row = (word(e.estimand), effect, between, margin, md(e.margin_meaning), e.finding)
        rows.append(row)
    if rows:
        columns = ("estimand", "effect", "interval", "margin", "margin from", "finding")
        yield from table(columns, rows)


def _runs(runs: Sequence[Run]) -> str:
    """A line of tokens; strong ones in brackets, with the activation at the place that was chosen.

    Not bold: asterisks within words and beside punctuation mean that in some readers only.
    """
    said = []
    for run in runs:
        text = run.text
        lead, trail = len(text) - len(text.lstrip()), len(text) - len(text.rstrip())
        core = md(text.strip())
        if core and (run.level >= _STRONG or run.peak):
            core = f"⟦{core}⟧"
        value = f" ({run.value}) " if run.peak else ""
        said.append(f"{' ' * min(lead, 1)}{core}{value}{' ' * min(trail, 1)}")
    return "".join(said).replace("⟧⟦", "").strip()


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A table of cells that are Markdown already."""
    yield ""
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(str(cell) for cell in row)} |"
    yield ""


def word(word: str | None) -> str:
    return md(word.replace("_", " ")) if word else "–"
