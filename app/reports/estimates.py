"""Estimates of a verdict row as lines of a report, and why some have no interval."""

from collections.abc import Mapping
from typing import Any, Literal

from app.reports.parts import EstimateLine
from app.reports.words import ESTIMANDS, margin_meaning, number, scale_of
from app.verdicts.tables import Verdict

Figures = Mapping[str, Any]


def estimate_lines(row: Verdict, least_documents: int) -> tuple[EstimateLine, ...]:
    """All estimands of a verdict, the leading one first, the others by name.

    Args:
        least_documents: the policy's `min_active_documents`.
    """
    pages: Figures = (row.pages or {}).get("intervals") or {}
    names = sorted(row.estimates, key=lambda name: (name != row.estimand, name))
    lines = [
        _line(name, row.estimates[name], pages.get(name), _why_missing(row, least_documents))
        for name in names
    ]
    if row.estimand not in row.estimates and row.estimand and row.effect is not None:
        # Rows of an earlier release, or of a latent that keeps its leading estimand alone.
        lead = {
            "effect": row.effect,
            "lower": row.lower,
            "upper": row.upper,
            "margin": row.margin,
            "margin_source": row.margin_source,
        }
        why = _why_missing(row, least_documents)
        lines.insert(0, _line(row.estimand, lead, pages.get(row.estimand), why))
    return tuple(line for line in lines if line is not None)


def held_out_lines(estimates: Figures) -> tuple[EstimateLine, ...]:
    """Estimates of a proposed feature on documents that it was not fitted on."""
    lines = (
        _line(name, {**estimates[name], "margin_source": "policy"}, None, "it could not be told")
        for name in sorted(estimates)
    )
    return tuple(line for line in lines if line is not None)


def finding(
    lower: float | None, upper: float | None, margin: float
) -> Literal["beyond", "within", "open"]:
    """Whether an interval lies beyond a margin on one side, within it, or neither."""
    if lower is None or upper is None:
        return "open"
    if lower > margin or upper < -margin:
        return "beyond"
    return "within" if -margin < lower and upper < margin else "open"


def _line(
    name: str, figures: Figures, page: list[float] | None, missing: str
) -> EstimateLine | None:
    effect, margin = figures.get("effect"), figures.get("margin")
    if effect is None or margin is None:
        return None
    lower, upper = figures.get("lower"), figures.get("upper")
    source = str(figures.get("margin_source") or "policy")
    page_lower, page_upper = page if page and None not in page else (None, None)
    return EstimateLine(
        estimand=name,
        meaning=ESTIMANDS.get(name, name),
        scale=scale_of(name),
        effect=effect,
        lower=lower,
        upper=upper,
        interval_missing=missing if lower is None or upper is None else None,
        se=figures.get("se"),
        df=figures.get("df"),
        margin=margin,
        margin_source=source,
        margin_meaning=margin_meaning(source),
        p_drifted=figures.get("p_drifted"),
        p_stable=figures.get("p_stable"),
        page_lower=page_lower,
        page_upper=page_upper,
        finding=finding(lower, upper, margin),
    )


def _why_missing(row: Verdict, least_documents: int) -> str:
    if row.change in ("dead", "born"):
        return (
            f"it is on one side only; an exact sign test over {row.active_documents} documents "
            f"decides (p = {number(row.sign_test_p)})"
        )
    if row.active_documents < least_documents:
        return (
            f"active in {row.active_documents} documents, fewer than the {least_documents} from "
            "which intervals cover what they claim"
        )
    return "its error could not be told from these documents"
