"""Write docs/reference from the code, or check that it is what the code says.

python -m tools.docs [--check]
"""

import argparse
import os
import sys
from pathlib import Path

from tools.docs import metrics, rest, settings

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES = {"rest.md": rest.render, "metrics.md": metrics.render, "settings.md": settings.render}


def main() -> int:
    """Run the command; 1 when a check finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    options = parser.parse_args()
    # What this environment sets is no default.
    for variable in [one for one in os.environ if one.startswith("FEATUREDRIFT_")]:
        del os.environ[variable]
    stale = []
    for name, render in PAGES.items():
        path, text = REFERENCE / name, render()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not options.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if options.check and stale:
        sys.stderr.write(f"stale in {REFERENCE}: {', '.join(stale)}; run: make docs-reference\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
