"""Run the sections: `python -m benchmarks.calibration --full --out docs/calibration.md`."""

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.calibration.size import FULL, MIDDLE, SMALL, Size
from benchmarks.calibration.table import Table, markdown

SECTIONS = ("nulls", "power", "coverage", "pages", "diagnosis", "controls", "peers", "line")

_HEAD = """# Calibration

Are the verdicts right as often as they claim? Made by `{command}` (seed {seed}) on {machine}. All
truths are known because all activations are made up, or because a trained model was changed on
purpose (the section on the demo's model); nothing below was fitted to them. Brackets are
exact 95% intervals (Clopper and Pearson 1934): a row fails where chance does not explain what it
misses, and a failure is printed as it was found.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections, print them, and write them where asked; 1 if a row failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--full", dest="size", action="store_const", const=FULL)
    sizes.add_argument("--small", dest="size", action="store_const", const=SMALL)
    parser.add_argument("--section", action="append", choices=SECTIONS, help="may be repeated")
    parser.add_argument("--out", type=Path, help="write the tables to this file as well")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument(
        "--line-folder", type=Path, help="the demo's pieces for `line`; built where missing"
    )
    given = parser.parse_args(arguments)
    size: Size = given.size or MIDDLE
    names = given.section or SECTIONS
    tables: list[tuple[str, Table, float]] = []
    for name in names:
        start = time.perf_counter()
        table = importlib.import_module(f"benchmarks.calibration.{name}").run(
            size,
            given.seed,
            given.processes,
            **({"folder": given.line_folder} if name == "line" else {}),
        )
        tables.append((name, table, (time.perf_counter() - start) / 60))
        print(markdown(table), f"\n{tables[-1][2]:.1f} minutes\n", flush=True)
    print(_summary(tables))
    if given.out:
        given.out.write_text(_document(tables, size, given), encoding="utf-8")
    return int(any(table.failed for _, table, _ in tables))


def _document(
    tables: Sequence[tuple[str, Table, float]], size: Size, given: argparse.Namespace
) -> str:
    flag = "" if size is MIDDLE else f" --{size.name}"
    chosen = "".join(f" --section {name}" for name in given.section or ())
    command = f"python -m benchmarks.calibration{flag}{chosen} --out {given.out}"
    head = _HEAD.format(command=command, seed=given.seed, machine=machine.describe())
    return "\n".join([head, _summary(tables), "", *(markdown(t) + "\n" for _, t, _ in tables)])


def _summary(tables: Sequence[tuple[str, Table, float]]) -> str:
    outcomes = ("pass", "FAIL", "shown", "not run")
    lines = ["| section | " + " | ".join(outcomes) + " | minutes |", "|---|" + "---|" * 5]
    for _, table, minutes in tables:
        counts = (sum(row.outcome == o for row in table.rows) for o in outcomes)
        lines.append(f"| {table.title} | {' | '.join(map(str, counts))} | {minutes:.1f} |")
    failed = [
        f"- {table.title}: {row.case}: {row.measured}"
        for _, table, _ in tables
        for row in table.failed
    ]
    if failed:
        lines += ["", "What failed:", "", *failed]
    return "\n".join(lines)


if __name__ == "__main__":
    # One thread in each process that is started: they are as many as the cores.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    sys.exit(main())
