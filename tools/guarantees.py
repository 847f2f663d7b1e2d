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
BEGIN_ELSEWHERE, END_ELSEWHERE = "<!-- elsewhere: begin -->", "<!-- elsewhere: end -->"

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
    text = _with(PAGE.read_text(), BEGIN, _table(), END)
    PAGE.write_text(_with(text, BEGIN_ELSEWHERE, _table_elsewhere(), END_ELSEWHERE))
    return []


def _with(text: str, begin: str, table: str, end: str) -> str:
    """The text with another table between two marks."""
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{table}\n{end}{tail}"


def _between(text: str, begin: str, end: str) -> str:
    return text.partition(begin)[2].partition(end)[0].strip()


def _table() -> str:
    lines = [
        f"| point | what has happened by then | {' | '.join(FAULTS.values())} |",
        f"|---|---|{'---|' * len(FAULTS)}",
    ]
    for row in ROWS:
        cells = " | ".join(_cell(row.name, fault) for fault in FAULTS)
        lines.append(f"| `{row.name}` | {row.process}: {row.means} | {cells} |")
    return "\n".join(lines)


def _table_elsewhere() -> str:
    lines = [
        f"| points | {' | '.join(FAULTS.values())} |",
        f"|---|{'---|' * len(FAULTS)}",
    ]
    rows: dict[tuple[str, ...], list[str]] = {}
    for point, by_fault in ELSEWHERE.items():
        rows.setdefault(tuple(by_fault[fault] for fault in FAULTS), []).append(f"`{point}`")
    for cells, points in rows.items():
        shown = (f"`{cell}`" if cell.startswith("tests/") else cell for cell in cells)
        lines.append(f"| {', '.join(points)} | {' | '.join(shown)} |")
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
    if _between(text, BEGIN_ELSEWHERE, END_ELSEWHERE) != _table_elsewhere():
        problems.append("the table of other points is not the matrix's; run `make guarantees`")
    table = _between(text, BEGIN, END).splitlines()
    wanted = [f"`{row.name}`" for row in ROWS]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    if [line[0] for line in cells[2:]] != wanted or cells[0][2:] != list(FAULTS.values()):
        problems.append("the table's rows and columns are not the matrix's; run `make guarantees`")
    elif not all(cell.startswith("once, ") for line in cells[2:] for cell in line[2:]):
        problems.append("a cell of the table is empty; run `make guarantees`")
    for path, test in _TEST.findall(text):
        file = ROOT / path
        if not file.exists() or (test and f"def {test}(" not in file.read_text()):
            problems.append(f"there is no test {path}{test and '::'}{test}")
    return problems


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
