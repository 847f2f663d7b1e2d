"""The table of `docs/guarantees.md`: what became of each cell of the fault matrix when it last ran.

python -m tools.guarantees            # write it anew, after `pytest tests/crash`
python -m tools.guarantees --check    # every point and fault has its cell, every test exists
"""

import json
import re
import sys
from pathlib import Path

from tests.crash.matrix import ELSEWHERE, FAULTS, OUTCOMES, ROWS, uncovered

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "guarantees.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def main(arguments: list[str]) -> int:
    """Write the table, or check the page."""
    problems = _problems() if "--check" in arguments else _write()
    for problem in problems:
        sys.stderr.write(f"docs/guarantees.md: {problem}\n")
    return 1 if problems else 0


def _write() -> list[str]:
    missing = [
        f"{row.name} × {fault}"
        for row in ROWS
        for fault in FAULTS
        if not (OUTCOMES / fault / f"{row.name}.json").exists()
    ]
    if missing:
        return [f"no outcome of {missing[0]} and {len(missing) - 1} more; run pytest tests/crash"]
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n{_table()}\n{END}{tail}")
    return []


def _table() -> str:
    lines = [
        f"| point | what has happened by then | {' | '.join(FAULTS.values())} |",
        f"|---|---|{'---|' * len(FAULTS)}",
    ]
    for row in ROWS:
        cells = " | ".join(_cell(row.name, fault) for fault in FAULTS)
        lines.append(f"| `{row.name}` | {row.process}: {row.means} | {cells} |")
    return "\n".join(lines)


def _cell(point: str, fault: str) -> str:
    outcome = json.loads((OUTCOMES / fault / f"{point}.json").read_text())
    attempts = outcome["attempts"]
    return f"once, {'first attempt' if attempts == 1 else f'attempt {attempts}'}"


def _problems() -> list[str]:
    problems = [
        f"the fault point {point!r} has no row in tests/crash/matrix.py, and no other test"
        for point in sorted(uncovered())
    ]
    text = PAGE.read_text()
    table = text.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    wanted = [f"`{row.name}`" for row in ROWS]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    if [line[0] for line in cells[2:]] != wanted or cells[0][2:] != list(FAULTS.values()):
        problems.append("the table's rows and columns are not the matrix's; run `make guarantees`")
    elif not all(cell.startswith("once, ") for line in cells[2:] for cell in line[2:]):
        problems.append("a cell of the table is empty; run `make guarantees`")
    named = [*_TEST.findall(text), *((path, "") for path in ELSEWHERE.values())]
    for path, test in named:
        file = ROOT / path
        if not file.exists() or (test and f"def {test}(" not in file.read_text()):
            problems.append(f"there is no test {path}{test and '::'}{test}")
    return problems


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
