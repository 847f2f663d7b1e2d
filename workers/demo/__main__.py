"""`python -m workers.demo`: the demo against a running service."""

import argparse
import os
import sys
import warnings
from pathlib import Path

from rich.console import Console

_WIDTH = 100


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(prog="workers.demo", description=__doc__)
    parser.add_argument("--base-url", required=True, help="where the API answers")
    parser.add_argument(
        "--work-dir", required=True, type=Path, help="folder for what is built, readable by workers"
    )
    arguments = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    # Libraries report through bars and warnings of their own; the demo shows one bar a step.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    warnings.filterwarnings("ignore", module=r"(?!app|workers).*")
    with console.status("loading libraries"):
        import httpx
        from transformers.utils import logging

        from workers.demo.client import RefusedError
        from workers.demo.run import run_demo
        from workers.errors import EvaluationError

        logging.disable_progress_bar()
    try:
        return run_demo(arguments.base_url, arguments.work_dir, console)
    except (EvaluationError, RefusedError) as error:
        console.print(str(error), style="bold red", markup=False)
    except httpx.TransportError as error:
        console.print(
            f"The API at {arguments.base_url} stopped answering: {error}",
            style="bold red",
            markup=False,
        )
    except KeyboardInterrupt:
        console.print("stopped; what was built so far is kept")
        return 130
    return 3


if __name__ == "__main__":
    sys.exit(main())
