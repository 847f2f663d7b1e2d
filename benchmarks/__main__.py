"""Run the benchmarks one after another: `python -m benchmarks [name …]`.

By default all but those of operations, which want a machine with nothing else on it.
"""

import subprocess
import sys

NAMES = ("capture", "comparison", "diagnosis", "evidence", "latency")
OPERATIONS = ("scrape", "registration", "history", "load")


def main(names: list[str]) -> int:
    """Run each in a process of its own, so that one's memory and threads never touch the next."""
    known = NAMES + OPERATIONS
    unknown = set(names) - set(known)
    if unknown:
        sys.stderr.write(f"no benchmark {sorted(unknown)[0]!r}; there are {', '.join(known)}\n")
        return 2
    codes = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        for name in names or NAMES
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
