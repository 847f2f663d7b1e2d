"""What the command line makes of errors: a user's mistake is one line, ours keeps its traceback."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from app import cli
from app.settings import Settings


class _Answer(BaseModel):
    count: int


def _fails_by(monkeypatch: pytest.MonkeyPatch, model: type[BaseModel], **values: Any) -> None:
    def run() -> None:
        model(**values)

    monkeypatch.setattr(cli, "app", run)


def test_a_wrong_setting_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _fails_by(monkeypatch, Settings, port=-1)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "setting port" in capsys.readouterr().err


def test_any_other_model_is_our_mistake_and_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_by(monkeypatch, _Answer)
    with pytest.raises(ValidationError, match="_Answer"):
        cli.main()
