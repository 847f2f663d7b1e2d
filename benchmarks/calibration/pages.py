"""False pages: single comparisons at one level, and lines of 50 checkpoints under a budget."""

import numpy as np

from app.monitors.page_budget import share
from app.monitors.policy import PagePolicy
from benchmarks.calibration.nulls import sparse_truth
from benchmarks.calibration.size import Size
from benchmarks.calibration.synthetic import FAMILIES, document_lengths, low_rank
from benchmarks.calibration.table import Row, Table, at_most
from benchmarks.calibration.verdicts import paged, seeds, spread
from workers.drift.pages import PageRequest
from workers.drift.policy import Policy

TITLE = "False pages"
HOW = (
    "Every feature sits at a margin (the hardest null) or at a quarter of it, in 200 documents. "
    "Single comparisons page at 5%. A line is one monitor in one quarter: 50 successive "
    "checkpoints of one corpus and one baseline, {features} features that share five factors by "
    "document, each checkpoint at the level that the budget gives it. A page is anything that "
    "would wake someone."
)
_DOCUMENTS = 200
_CHECKPOINTS = 50
_ALPHA = 0.05


def run(size: Size, seed: int, processes: int = 1) -> Table:
    """Single comparisons, then lines."""
    rows: list[Row] = []
    sets = max(size.sets // 2, 1)
    for family in FAMILIES:
        streams = seeds(seed, f"pages {family}", sets)
        features = min(size.page_features, 200)
        hits = list(spread(single, streams, processes, family, features))
        rows.append(
            at_most(
                f"{family}, {features} features at the margin, level 5%: any page",
                _ALPHA,
                sum(h > 0 for h in hits),
                sets,
                "comparisons",
            )
        )
    budget = PagePolicy()
    for beyond in (1.0, 0.25):
        streams = seeds(seed, "pages line", size.monitors)
        tasks = [(stream, k) for stream in streams for k in range(1, _CHECKPOINTS + 1)]
        found = list(spread(_checkpoint, tasks, processes, size.page_features, beyond, budget))
        pages = np.array(found).reshape(size.monitors, _CHECKPOINTS)
        level = "at the margin" if beyond == 1 else "inside the margins"
        row = at_most(
            f"50 checkpoints of {size.page_features} correlated features {level}: any page",
            budget.alpha,
            int((pages > 0).any(1).sum()),
            size.monitors,
            "lines",
        )
        spent = sum(share(k, budget) for k in range(1, _CHECKPOINTS + 1))
        detail = (
            f"{row.measured}; {int((pages > 0).sum())} of {pages.size} evaluations paged, budget "
            f"{size.monitors * spent:.2f} expected at most"
        )
        rows.append(Row(row.case, row.wanted, detail, row.outcome))
    return Table(TITLE, HOW.format(features=size.page_features), rows)


def single(stream: np.random.SeedSequence, family: str, features: int) -> int:
    """Features that page, all of them null."""
    rng, policy = np.random.default_rng(stream), Policy()
    tokens = document_lengths(rng, _DOCUMENTS)
    truth = sparse_truth(rng, np.ones(features), policy)
    sums = FAMILIES[family](rng, tokens, truth)
    _, pages = paged(policy, sums, PageRequest(None, _ALPHA, seed=int(rng.integers(1 << 31))))
    return int(pages.paged.sum())


def _checkpoint(
    task: tuple[np.random.SeedSequence, int], features: int, beyond: float, budget: PagePolicy
) -> int:
    """Features that page at one checkpoint of a line."""
    stream, ordinal = task
    world, policy = np.random.default_rng(stream), Policy()
    tokens = document_lengths(world, _DOCUMENTS)
    truth = sparse_truth(world, np.full(features, beyond), policy)
    entropy = stream.entropy if isinstance(stream.entropy, list) else [stream.entropy]
    rng = np.random.default_rng([*entropy, *stream.spawn_key, ordinal, int(100 * beyond)])
    sums = low_rank(rng, tokens, truth, world=world)
    request = PageRequest(None, share(ordinal, budget), seed=int(rng.integers(1 << 31)))
    _, pages = paged(policy, sums, request)
    return int(pages.paged.sum())
