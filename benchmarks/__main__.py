"""Run the benchmarks one after another: `python -m benchmarks [name …]`, by default all."""

import subprocess
import sys

NAMES = ("capture", "comparison", "diagnosis", "evidence", "latency")


def main(names: list[str]) -> int:
    """Run each in a process of its own, so that one's memory and threads never touch the next."""
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.stderr.write(f"no benchmark {sorted(unknown)[0]!r}; there are {', '.join(NAMES)}\n")
        return 2
    codes = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        for name in names or NAMES
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
