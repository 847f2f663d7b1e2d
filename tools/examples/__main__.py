"""Write docs/examples: the demo's reports in all forms, and a page that leads to them.

python -m tools.examples [--data-dir DIR]   run the demo in DIR, where it was not run yet
python -m tools.examples --render           write everything from the committed JSON
python -m tools.examples --check            whether that is what lies there
"""

import argparse
import sys
from pathlib import Path

from tools.examples.kinds import KINDS
from tools.examples.rendering import FOLDER, report_of, stale, written_from


def main() -> int:
    """Write or check, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="tools.examples",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data-dir", type=Path, default=Path(".featuredrift"))
    parser.add_argument("--render", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        lines = stale()
        sys.stderr.writelines(f"{line}\n" for line in lines)
        return 1 if lines else 0
    if arguments.render:
        reports = {kind.name: report_of(kind.name) for kind in KINDS}
    else:
        # What runs the demo needs everything that a worker needs; checking does not.
        from tools.examples.collecting import ExamplesError, collect
        from workers.demo.client import RefusedError

        try:
            reports = collect(arguments.data_dir)
        except (ExamplesError, RefusedError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    for name, content in written_from(reports).items():
        (FOLDER / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
