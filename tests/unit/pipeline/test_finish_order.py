"""The end of an evaluation asks the artifact store nothing while a row of the ledger is locked."""

from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from app.core import telemetry
from app.evaluations import ledger
from app.evaluations.ledger import StaleAttempt
from workers.pipeline import compare as step


class Span:
    def set(self, **_figures: Any) -> None:
        """Nobody looks at it."""


def test_proposed_files_are_held_and_looked_at_before_the_evaluation_is_locked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    proposal = {"dictionaries": [SimpleNamespace(artifact="dictionaries/abc")]}
    findings = SimpleNamespace(proposal=proposal)
    case = SimpleNamespace(evaluation=SimpleNamespace(id="e"), readers={}, corpus=None)
    verdicts = SimpleNamespace(verdicts=(), tokens=0)

    class Results(dict[str, Any]):
        def items(self) -> Any:
            return ()

    def lock(_session: Any, _id: Any) -> Any:
        asked.append("row")
        return SimpleNamespace(id="e", state="cancelled")

    stand_ins: dict[str, Any] = {
        "read_case": case,
        "labels_of": None,
        "control_evidence": None,
        "_results": Results(baseline=verdicts),
        "causal_effects": None,
        "diagnose_drifted": findings,
        "slow_drifts": {},
        "_page_share": 0.0,
    }
    for name, value in stand_ins.items():
        monkeypatch.setattr(step, name, Mock(return_value=value))
    monkeypatch.setattr(telemetry, "span", lambda _name: nullcontext(Span()))
    monkeypatch.setattr(step, "hold_files", lambda _session, _store, keys: asked.extend(keys))
    monkeypatch.setattr(ledger, "lock_evaluation", lock)

    def settle(work: Callable[[Any], Any]) -> Any:
        return work(None)

    database = SimpleNamespace(unit_of_work=lambda: nullcontext(None))
    context: Any = SimpleNamespace(database=database, store=None, settle=settle)
    lease: Any = SimpleNamespace(check=lambda: None)
    claim: Any = SimpleNamespace(kind="compare")
    with pytest.raises(StaleAttempt):
        step.compare(context, claim, lease)

    assert asked == [*(f"dictionaries/abc/{file}" for file in step.DICTIONARY_FILES), "row"]
