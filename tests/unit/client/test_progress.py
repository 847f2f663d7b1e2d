"""How far an evaluation is, as a person sees it at a terminal."""

import io
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from rich.console import Console

from app.cli import progress
from app.evaluations.schemas import EvaluationOut

EXAMPLE: Any = EvaluationOut.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index,call-overload]


def following(*states: str | BaseException) -> Any:
    """A client whose evaluation goes through these states, a shard each."""

    def watch(_identity: str, *, timeout: float | None = None) -> Iterator[EvaluationOut]:
        for done, state in enumerate(states):
            if isinstance(state, BaseException):
                raise state
            time.sleep(0.02)
            shards = {"shards_done": done, "shards_total": len(states) - 1}
            yield EvaluationOut.model_validate({**EXAMPLE, "state": state, "progress": shards})

    return SimpleNamespace(evaluations=SimpleNamespace(watch=watch))


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 140 columns shows."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=140)
    monkeypatch.setattr(progress, "err", console)
    monkeypatch.setattr(progress, "say", lambda line: console.print(line, markup=False))
    return text


def test_a_bar_has_the_step_the_count_the_rate_and_the_time_left(screen: io.StringIO) -> None:
    found = progress.follow(following("queued", "running", "running", "succeeded"), "x")

    last = screen.getvalue().split("\r")[-1]
    assert found.state == "succeeded"
    for part in ("support-bot 2026-11-22 succeeded", "3/3", "shards/min", "left", "0:00:00"):
        assert part in last


def test_ctrl_c_ends_the_watching_and_says_that_the_evaluation_goes_on(
    screen: io.StringIO,
) -> None:
    with pytest.raises(typer.Exit) as caught:
        progress.follow(following("running", KeyboardInterrupt()), "x")

    assert caught.value.exit_code == 130
    assert "the evaluation goes on" in screen.getvalue()


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_what_has_not_succeeded_ends_with_1(state: str) -> None:
    with pytest.raises(typer.Exit) as caught:
        progress.require_success(EvaluationOut.model_validate({**EXAMPLE, "state": state}))
    assert caught.value.exit_code == 1


def test_what_has_succeeded_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    progress.conclude(EvaluationOut.model_validate(EXAMPLE))
    assert "11 stable, 1 drifted" in capsys.readouterr().out
