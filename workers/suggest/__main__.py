"""`python -m workers.suggest`: a request on stdin, JSON lines on stdout.

Each line is `{"step", "done", "total"}`; the last one is `{"result": …}`, or `{"error": {"code",
"detail"}}` for what a person can mend. The process exists so that the command line need not load
torch.
"""

import json
import os
import sys
import warnings
from typing import Any


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
    from app.settings import get_settings
    from workers.errors import EvaluationError
    from workers.suggest.reading import read
    from workers.suggest.request import Request
    from workers.suggest.suggest import Options, suggest

    request = Request.model_validate_json(sys.stdin.buffer.read())

    def step(name: str, done: int, total: int) -> None:
        tell(step=name, done=done, total=total)

    try:
        reading = read(request, get_settings(), step)
        found = suggest(
            reading.material,
            request.concepts,
            Options(per_concept=request.per_concept, seed=request.seed),
            reading.decoder,
            lambda done, total: step("judging", done, total),
        )
    except EvaluationError as error:
        tell(error={"code": error.code, "detail": error.detail})
        return 1
    found["method"].update(reading.facts)
    tell(result=found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
