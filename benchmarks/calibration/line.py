"""The demo's trained model: idle updates, planted causes, and suspicious features."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.calibration import line_controls, line_nulls, line_plants
from benchmarks.calibration.line_controls import Caught
from benchmarks.calibration.line_model import RECIPE, facts, open_line
from benchmarks.calibration.line_nulls import Null
from benchmarks.calibration.line_plants import Found
from benchmarks.calibration.size import Size
from benchmarks.calibration.table import Row, Table, at_least, at_most, percent
from benchmarks.calibration.verdicts import seeds, spread
from workers.demo.recipe import Recipe
from workers.drift.policy import Policy

TITLE = "The demo's trained model"
HOW = (
    "A language model trained on the spot ({facts}), its dictionary and the demo's features, "
    f"captured in float32 on probe documents. Null updates, on {line_nulls.DOCUMENTS} documents "
    f"drawn {{corpora}}: Gaussian noise of {percent(line_nulls.NOISE)} of each weight matrix's "
    "root mean square, the same with a tenth of the noise and rounded to bfloat16, or other batch "
    "shapes; a row says how far they move the estimates in margins. Pages are at what the budget "
    "gives the first planned checkpoint of a quarter. Updates on one draw of documents share "
    "their documents, so that bands are of the updates. Planted causes, with small noise on top, "
    f"on {line_plants.DOCUMENTS} documents: the residual stream turned, or rescaled; hidden units "
    "of an MLP permuted with its function kept; a probe's direction taken out of all that writes "
    "(lost or relocated, as a labelled refit says, on the other probe documents, which takes no "
    "part in the diagnosis); fresh weights of two initialisations. Latents that change places "
    "among themselves are not among them: a dictionary is frozen, and no change of weights that "
    "keeps the function swaps directions but a rotation; see the diagnosis of planted causes."
)
DEFAULT_FOLDER = Path(sys.prefix) / "calibration" / "line"
_COUNTS = {"small": (5, 1, 1), "middle": (20, 1, 1), "full": (200, 3, 3)}
"""By size: null updates, seeds of each plant, draws of suspicious features."""
_MORE = {("full", "erased"): len(line_plants.ERASED), ("full", "fresh weights"): 4}
_PLANTED = 0.95


def run(
    size: Size,
    seed: int,
    processes: int = 1,
    *,
    folder: Path | None = None,
    recipe: Recipe = RECIPE,
) -> Table:
    """Build or find the demo's pieces below `folder`, then all rows."""
    place = (folder or DEFAULT_FOLDER).resolve()
    line = open_line(place, recipe)
    nulls, plants, draws = _COUNTS[size.name]
    updates = list(enumerate(seeds(seed, "line nulls", nulls)))
    tasks = [
        (name, number, stream)
        for name in line_plants.PLANTS
        for number, stream in enumerate(
            seeds(seed, f"line {name}", _MORE.get((size.name, name), plants))
        )
    ]
    suspects = seeds(seed, "line controls", draws)
    rows = [
        *_null_rows(list(spread(line_nulls.one_update, updates, processes, place, recipe, seed))),
        *_plant_rows(list(spread(line_plants.one_plant, tasks, processes, place, recipe))),
        *_control_rows(list(spread(line_controls.one_draw, suspects, processes, place, recipe))),
    ]
    return Table(TITLE, HOW.format(facts=facts(line), corpora="four times"), rows)


def _null_rows(found: Sequence[Null]) -> list[Row]:
    policy, rows = Policy(), []
    for kind in dict.fromkeys(line_nulls.KINDS):
        moved = np.array([x for null in found if null.kind == kind for x in null.moved.values()])
        largest = max(
            ((x, name) for null in found if null.kind == kind for name, x in null.moved.items()),
            default=(np.nan, "none"),
        )
        if len(moved):
            text = (
                f"median {np.median(moved):.2g}, 99% {np.quantile(moved, 0.99):.2g}, largest "
                f"{largest[0]:.2g} ({largest[1]})"
            )
            rows.append(Row(f"null, {kind}: estimated effects in margins", "", text, "shown"))
    drifted = Counter(name for null in found for name in null.drifted)
    told = "".join(f"; {n} times {name}" for name, n in drifted.most_common(5))
    judged = sum(null.judged for null in found)
    any_ = sum(bool(null.drifted) for null in found)
    if not judged:
        what = "no feature was judged: too few probe documents"
        return [*rows, Row("null: false `drifted`", f"≤ {percent(policy.q)}", what, "FAIL")]
    features = at_most("null: false `drifted`", policy.q, drifted.total(), judged, "features")
    rows.append(Row(features.case, features.wanted, features.measured + told, features.outcome))
    rows.append(at_most("null: any false `drifted`", policy.q, any_, len(found), "updates"))
    paged = sum(null.paged > 0 for null in found)
    alpha = line_nulls.page_alpha()
    rows.append(at_most("null: any page", alpha, paged, len(found), "updates"))
    return rows


def _plant_rows(found: Sequence[Found]) -> list[Row]:
    rows, right, total = [], 0, 0
    for plant in line_plants.PLANTS:
        models = [one for one in found if one.plant == plant]
        planted = sum(one.planted for one in models)
        drifted = sum(one.drifted for one in models)
        rows.append(at_least(f"{plant}: `drifted`", _PLANTED, drifted, planted, "features"))
        pairs = [(one.truth[n], label) for one in models for n, label in one.labels.items()]
        if not pairs:
            continue
        good = sum(truth == label for truth, label in pairs)
        right, total = right + good, total + len(pairs)
        wrong = Counter(
            f"`{label}` for {n}"
            for one in models
            for n, label in one.labels.items()
            if label != one.truth[n]
        )
        truths = " or ".join(sorted({f"`{truth}`" for truth, _ in pairs}))
        row = at_least(f"{plant}: diagnosed {truths}", _PLANTED, good, len(pairs), "features")
        rows.append(_with(row, wrong))
        repairs = [(n, v) for one in models for n, v in one.repaired.items()]
        if repairs:
            stable = sum(verdict == "stable" for _, verdict in repairs)
            bad = Counter(f"{verdict} for {n}" for n, verdict in repairs if verdict != "stable")
            case = f"{plant}: repair stable on held-out documents"
            rows.append(_with(at_least(case, _PLANTED, stable, len(repairs), "features"), bad))
        if plant == "neurons permuted":
            lost = sum(len(one.misplaced) for one in models)
            case = f"{plant}: repair names the unit's new place"
            rows.append(at_least(case, _PLANTED, drifted - lost, drifted, "features"))
    if total:
        rows.append(at_least("all plants: diagnosis right", _PLANTED, right, total, "features"))
    return rows


def _with(row: Row, exceptions: Counter[str]) -> Row:
    told = "".join(f"; {count} × {what}" for what, count in exceptions.most_common(5))
    return Row(row.case, row.wanted, row.measured + told, row.outcome)


def _control_rows(found: Sequence[Caught]) -> list[Row]:
    planted = sum(one.planted for one in found)
    rows = [
        at_least(kind, _PLANTED, sum(one.caught[kind] for one in found), planted, "features")
        for kind in line_controls.KINDS
    ]
    draws = f"of {len(found)} draws"
    accused = Counter(
        f"{name} ({control})"
        for one in found
        for control, names in one.accused.items()
        for name in names
    )
    tokens = Counter(name for one in found for name in one.token_level)
    for case, counts in (
        ("the demo's features that a control fails", accused),
        ("the demo's features told as token_level", tokens),
    ):
        told = ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"
        rows.append(Row(case, "", f"{told} {draws}", "shown"))
    return rows
