"""A user's mistake costs a line that says what to do, and no traceback."""

import errno
import io
import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app, console, main

FEATURES = '[{"kind": "neuron", "name": "n", "site": "blocks.0.mlp.hook_post", "index": 1}]'
NOBODY = ("--url", "http://127.0.0.1:1")
EVALUATION = "01a20780-92e1-7068-9e37-d5cf25085415"


def run(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str]:
    """The exit code and stderr of the whole program."""
    monkeypatch.setattr(sys, "argv", ["featuredrift", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON at character 1"),
        (b"[" * 100_000, "is nested too deeply"),
        (FEATURES.encode("utf-16"), "is not UTF-8; save it as UTF-8"),
        (b'[{"name": "a", "name": "b"}]', "the key 'name' stands there twice"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["feature-sets", "publish", "s"],
        ["monitors", "create", "m", "--model", "m", "--corpus", "c", "--policy"],
    ],
)
def test_a_file_that_is_no_json_is_named(
    command: list[str],
    content: bytes,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "given.json"
    file.write_bytes(content)
    code, err = run([*command, str(file), *NOBODY], monkeypatch, capsys)
    assert code == 1
    assert str(file) in err
    assert said in err


def test_a_byte_order_mark_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "features.json"
    file.write_bytes(b"\xef\xbb\xbf" + FEATURES.encode())
    result = CliRunner().invoke(app, ["feature-sets", "publish", "s", str(file), *NOBODY])
    assert result.exit_code == 3  # it was read, and nobody was there to be told


def test_a_report_is_not_written_in_another_form_than_its_name_says() -> None:
    result = CliRunner().invoke(app, ["report", EVALUATION, "--out", "report.pdf", *NOBODY])
    assert result.exit_code == 2
    assert ".html, .md or .json" in result.output
    for name in ("report.htm", "report.markdown", "report"):
        asked = CliRunner().invoke(app, ["report", EVALUATION, "--out", name, *NOBODY])
        assert asked.exit_code == 3


def test_a_full_disk_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_value: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("app.cli.inspect.print_json", full)
    code, err = run(["settings", "--json"], monkeypatch, capsys)
    assert code == 1
    assert "the output cannot be written: No space left on device" in err


def test_a_terminal_of_another_encoding_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    console.write_what_can_be_written()
    console.out.print("→ set PUBLIC_URL", markup=False)
    console.print_json({"name": "nöpe 🙂"})
    sys.stdout.flush()
    line, _, document = raw.getvalue().decode("ascii").partition("\n")
    assert line == "\\u2192 set PUBLIC_URL"
    assert json.loads(document) == {"name": "nöpe 🙂"}
