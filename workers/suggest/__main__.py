"""`python -m workers.suggest`: a request on stdin, JSON lines on stdout.

Each line is `{"step", "done", "total"}`; the last one is `{"result": …}`, or `{"error": {"code",
"detail"}}` for what a person can mend. The process exists so that the command line need not load
torch.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any


def answer(asked: bytes, step: Callable[[str, int, int], None]) -> dict[str, Any]:
    """The suggestion for a request, as plain JSON values.

    Args:
        asked: the request as JSON.
        step: told (step, done, of so many).

    Raises:
        EvaluationError: nothing can be suggested, for a reason that a person can mend.
    """
    from app.settings import get_settings
    from workers.suggest.reading import read
    from workers.suggest.request import Request
    from workers.suggest.suggest import Options, suggest

    request = Request.model_validate_json(asked)
    reading = read(request, get_settings(), step)
    found = suggest(
        reading.material,
        request.concepts,
        Options(per_concept=request.per_concept, seed=request.seed),
        reading.decoder,
        lambda done, total: step("judging", done, total),
    )
    found["method"].update(reading.facts)
    return found


def main() -> int:
    """Answer one request."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", module=r"(?!app|workers).*")
    # Libraries print; only our own lines go to the pipe.
    lines = sys.stdout
    sys.stdout = sys.stderr

    def tell(**line: Any) -> None:
        lines.write(json.dumps(line, allow_nan=False) + "\n")
        lines.flush()

    tell(step="loading libraries", done=0, total=1)
    from workers.errors import EvaluationError

    def step(name: str, done: int, total: int) -> None:
        tell(step=name, done=done, total=total)

    try:
        found = answer(sys.stdin.buffer.read(), step)
    except EvaluationError as error:
        tell(error={"code": error.code, "detail": error.detail})
        return 1
    tell(result=found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
