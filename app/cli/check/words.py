"""The sentences that the summary, the comment and the test report share."""

from typing import Any

from app.cli.check.evidence import Evidence
from app.verdicts.plain import figures

ORDER = ("stable", "drifted", "inconclusive", "insufficient", "untrusted", "invalid")


def counts(one: Evidence) -> str:
    """`12 features: 11 stable, 1 drifted`."""
    known = one.standing["counts"]
    parts = [f"{known[word]} {word}" for word in ORDER if known.get(word)]
    total = one.standing["features"]
    return f"{plural(total, 'feature')}: {', '.join(parts)}" if parts else "no verdicts"


def against(one: Evidence) -> str:
    """` against v1`, where a baseline is known."""
    baseline = one.standing["baseline"]
    return f" against {baseline}" if baseline else ""


def measured(row: dict[str, Any]) -> str:
    """`which tokens it fires on: identity_sparse 0.41 [0.28, 0.54], margin 0.2`."""
    if row["effect"] is None:
        return str(row["reason"])
    raised = row["margin_source"]
    source = "" if raised in (None, "policy") else f" ({raised})"
    names = ("estimand", "effect", "lower", "upper", "margin")
    return f"{figures(*(row[name] for name in names))}{source}"


def repaired(repair: dict[str, Any]) -> str:
    """`phone (rotated), mail (rescaled)`."""
    return ", ".join(f"{change['feature']} ({change['diagnosis']})" for change in repair["changed"])


def named(reason: dict[str, Any]) -> str:
    """` (phone, mail)`, where a reason names features."""
    return f" ({', '.join(reason['features'])})" if reason["features"] else ""


def plural(count: int, word: str) -> str:
    """`1 feature`, `2 features`."""
    return f"{count} {word}{'' if count == 1 else 's'}"
