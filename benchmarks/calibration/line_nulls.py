"""Updates of the trained model that change nothing that matters."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from app.monitors.page_budget import share
from app.monitors.policy import PagePolicy
from benchmarks.calibration.line_model import (
    BATCH_TOKENS,
    Line,
    Probe,
    add_noise,
    open_line,
    round_to_bfloat16,
)
from benchmarks.calibration.verdicts import seeds
from workers.demo.recipe import Recipe
from workers.drift.pages import PageRequest
from workers.drift.verdicts import VerdictTable
from workers.snapshots import SnapshotReader

KINDS = ("noise", "noise", "noise", "bfloat16", "batches")
"""One of five each time, noise three times."""
NOISE = 0.01
"""Of each matrix's root mean square."""
DOCUMENTS = 60
_CORPORA = 4


@dataclass(frozen=True)
class Null:
    """What the service made of one update."""

    kind: str
    judged: int
    drifted: tuple[str, ...]
    paged: int
    moved: dict[str, float]
    """By judged feature, the largest estimated effect in margins."""


def page_alpha() -> float:
    """What the budget gives the first planned checkpoint of a quarter."""
    return share(1, PagePolicy())


def one_update(
    task: tuple[int, np.random.SeedSequence], folder: Path, recipe: Recipe, seed: int
) -> Null:
    """Change the base by as good as nothing, and compare."""
    number, stream = task
    rng = np.random.default_rng(stream)
    kind = KINDS[number % len(KINDS)]
    line = open_line(folder, recipe)
    probe, baseline = _baseline(line, number // len(KINDS) % _CORPORA, seed)
    weights, batch = line.weights(), BATCH_TOKENS
    if kind == "batches":
        batch = int(rng.integers(64, 4 * BATCH_TOKENS))
    else:
        # Rounding alone is one update, the same each time: what is rounded differs a little.
        add_noise(weights, NOISE if kind == "noise" else NOISE / 10, rng)
    if kind == "bfloat16":
        round_to_bfloat16(weights)
    request = PageRequest(None, page_alpha(), seed=int(rng.integers(1 << 31)))
    with probe.captured(line.loaded(weights), batch) as candidate:
        result = probe.compare(baseline, candidate, request)
    table, pages = result.verdicts, result.pages
    judged = ~np.isin(table.verdict, ("invalid", "untrusted", "insufficient"))
    names = np.array(table.names)
    return Null(
        kind=kind,
        judged=int(judged.sum()),
        drifted=tuple(names[table.verdict == "drifted"]),
        paged=0 if pages is None else int(pages.paged.sum()),
        moved={str(n): x for n, x, j in zip(names, _moved(table), judged, strict=True) if j},
    )


_open_baselines: list[object] = []


@cache
def _baseline(line: Line, corpus: int, seed: int) -> tuple[Probe, SnapshotReader]:
    """The base on one of a few draws of probe documents, kept until the process ends."""
    rng = np.random.default_rng(seeds(seed, "line documents", _CORPORA)[corpus])
    probe = Probe(line, line.draw_documents(rng, DOCUMENTS), line.features)
    held = probe.captured(line.base)
    _open_baselines.append(held)
    return probe, held.__enter__()


def _moved(table: VerdictTable) -> list[float]:
    """[features] the largest |effect| in margins, of estimands that were measured."""
    shares = [np.abs(x.effect) / x.margin for x in table.inference.values()]
    stacked = np.nan_to_num(np.stack(shares), nan=0.0)
    return [float(x) for x in stacked.max(0)]
