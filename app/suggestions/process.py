"""The process that reads the model: it needs torch, which nothing here does."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from app.core.errors import InvalidInputError

Step = Callable[[str, int, int], None]
"""Told (step, done, of so many)."""


class SuggestionError(InvalidInputError):
    """Nothing could be suggested, for a reason that a person can act on."""

    code = "suggestion_failed"


def run_suggestion(request: dict[str, Any], step: Step) -> dict[str, Any]:
    """Run `workers.suggest` and wait for its result.

    Args:
        request: as `workers.suggest.request.Request`.

    Raises:
        SuggestionError: with the reason.
    """
    if find_spec("torch") is None:
        raise SuggestionError(
            "torch is not installed here, and reading a model needs it; "
            "pip install 'featuredrift[worker]'"
        )
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as said,
        subprocess.Popen(
            [sys.executable, "-m", "workers.suggest"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as process,
    ):
        try:
            last = _follow(process, request, step)
        except BaseException:
            process.kill()
            raise
        code = process.wait()
        if "result" in last:
            result: dict[str, Any] = last["result"]
            return result
        if "error" in last:
            raise SuggestionError(last["error"]["detail"])
        said.seek(0)
        words = [line for line in said.read().splitlines() if line.strip()]
        why = words[-1][:500] if words else "nothing was said"
        raise SuggestionError(
            f"the process that reads the model ended with {code}: {why}"
            + ("; is there memory enough? --tokens reads less" if code < 0 else "")
        )


def _follow(process: "subprocess.Popen[str]", request: dict[str, Any], step: Step) -> Any:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    try:
        process.stdin.write(json.dumps(request))
        process.stdin.close()
    except BrokenPipeError:
        # It ended before it read anything; what it said on stderr tells why.
        return {}
    last: Any = {}
    for line in process.stdout:
        last = json.loads(line)
        if "step" in last:
            step(last["step"], last["done"], last["total"])
    return last
