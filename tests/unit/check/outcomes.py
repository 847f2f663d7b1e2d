"""Answers of the gate with their evidence, as the API gives them."""

from typing import Any

from app.cli.check.evidence import Evidence, Outcome

ID = "019ab7d2-5c00-7000-8000-000000000003"


def row(feature: str, word: str, **changes: Any) -> dict[str, Any]:
    """A verdict."""
    known = {
        "feature": feature,
        "verdict": word,
        "change": None,
        "diagnosis": "rotated" if word == "drifted" else None,
        "reason": f"it is {word}",
        "estimand": "identity",
        "effect": 0.41,
        "lower": 0.28,
        "upper": 0.54,
        "margin": 0.2,
        "margin_source": "policy",
        "paged": False,
        "slow_drift": False,
    }
    return known | changes


def reason(outcome: str, code: str, detail: str = "because", **changes: Any) -> dict[str, Any]:
    """One reason of the monitor `watch`."""
    known = {"outcome": outcome, "monitor": "watch", "code": code, "detail": detail, "features": []}
    return known | {"evaluation": ID, "baseline": "v1"} | changes


def control(name: str, passed: bool | None, detail: str = "as told") -> dict[str, Any]:
    """One control."""
    return {"control": name, "passed": passed, "detail": detail, "figures": {}}


def outcome(
    gate: str,
    rows: list[dict[str, Any]],
    reasons: list[dict[str, Any]] | None = None,
    controls: list[dict[str, Any]] | None = None,
    repairs: list[dict[str, Any]] | None = None,
    **standing: Any,
) -> Outcome:
    """An answer over one monitor, `watch`."""
    counts: dict[str, int] = {}
    for one in rows:
        counts[one["verdict"]] = counts.get(one["verdict"], 0) + 1
    known = {
        "monitor": "watch",
        "evaluation": ID,
        "baseline": "v1",
        "state": "succeeded",
        "features": len(rows),
        "counts": counts,
        "held_by_benign": [],
        "notes": [],
    } | standing
    told = reasons or []
    evidence = Evidence(
        known,
        [one for one in told if one["monitor"] == "watch"],
        watched=rows,
        drifted=[one for one in rows if one["verdict"] == "drifted"],
        controls=controls or [],
        repairs=repairs or [],
        started_at="2026-11-22T09:31:00Z",
        finished_at="2026-11-22T09:31:40.500Z",
    )
    answer = {"gate": gate, "model": "bot", "checkpoint": "v2", "reasons": told}
    return Outcome(
        gate,
        "bot",
        "v2",
        "https://drift.example",
        answer={**answer, "monitors": [known]},
        general=[one for one in told if one["monitor"] is None],
        monitors=[evidence],
    )


def repair(*changed: tuple[str, str]) -> dict[str, Any]:
    """A proposed repair."""
    changes = [{"feature": name, "diagnosis": diagnosis} for name, diagnosis in changed]
    return {"id": ID, "changed": changes, "comparison": "baseline"}
