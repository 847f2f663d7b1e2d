"""Each monitor's part in the gate of the checkpoint that it has evaluated last."""

from collections.abc import Mapping
from typing import Any

from app.exporter.reading import Latest
from app.monitors.policy import GatePolicy
from app.verdicts.gate import Outcome, Standing, decide

_UNNAMED = "one of them"
"""The gate asks whether there are such features; their names are for its reasons alone."""


def gate_of(row: Any, latest: Latest | None, only_slow: Mapping[str, int]) -> Outcome:
    """What the monitor's newest evaluation says of its checkpoint.

    Args:
        row: the newest evaluation of any state (`newest`, `state`, `policy`).
        latest: the monitor's newest succeeded evaluation, if any.
        only_slow: evaluation → features of the baseline comparison that drift slowly and have
            not yet drifted.
    """
    judged = latest if latest is not None and latest.evaluation == str(row.newest) else None
    baseline = next(
        (c for c in (judged.comparisons if judged else ()) if c.name == "baseline"), None
    )
    outcome, _ = decide(
        [
            Standing(
                monitor="",
                policy=GatePolicy.model_validate(row.policy.get("gate", {})),
                state=row.state,
                counts=baseline.verdicts if baseline else {},
                failed_controls=tuple(
                    name
                    for name, passed in (judged.controls if judged else {}).items()
                    if passed is False
                ),
                slow_drift=(_UNNAMED,) if only_slow.get(str(row.newest)) else (),
                held_count=baseline.held_by_benign if baseline else 0,
            )
        ]
    )
    return outcome
