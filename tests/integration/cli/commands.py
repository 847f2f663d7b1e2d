"""Commands run in this process, with the exit code and the two streams of a real one."""

import sys
from dataclasses import dataclass
from typing import Any

import pytest

from app.cli import main


@dataclass
class Terminal:
    """Where commands are typed; `FEATUREDRIFT_URL` names the API."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: Any) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        self.monkeypatch.setattr(sys, "argv", ["featuredrift", *map(str, arguments)])
        self.capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        out, err = self.capsys.readouterr()
        assert "Traceback" not in err
        return int(code or 0), out, err

    def ok(self, *arguments: Any) -> str:
        """What a command that must succeed prints."""
        code, out, err = self.run(*arguments)
        assert code == 0, err
        return out
