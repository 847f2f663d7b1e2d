"""From the committed JSON reports to everything else in docs/examples, by today's code."""

from collections.abc import Mapping
from pathlib import Path

from app.reports.html import render_html
from app.reports.json import render_json
from app.reports.markdown import render_markdown
from app.reports.model import Report
from app.reports.text import markdown
from tools.examples.kinds import KINDS

FOLDER = Path(__file__).resolve().parents[2] / "docs/examples"
LIMIT = 4_000_000
"""Bytes of all examples together."""

_HEAD = """<!-- Written by `make examples`; change what writes it, not this file. -->
# Example reports

Four evaluations of the [demo](../demo.md), as the service reports them. Nothing in them was made up
or touched up: the demo trains a small language model on Python's standard library and a dictionary
of its activations, lets it change in known ways, and has every checkpoint judged.
[Reading a report](../report.md) says what each part means.

"""
_FOOT = """
Each is one evaluation in three forms. The HTML is one file that needs nothing else: save it, print
it, send it. The JSON keeps to the [schema](../schemas/report-1.json). `make examples` makes them
anew; `make check` holds them to what today's code renders from the same JSON.
"""


def report_of(name: str, folder: Path = FOLDER) -> Report:
    """The committed report of a kind.

    Raises:
        FileNotFoundError: there is none; `make examples` makes it.
        ValueError: it does not keep to today's schema.
    """
    return Report.model_validate_json((folder / f"{name}.json").read_text())


def written_from(reports: Mapping[str, Report]) -> dict[str, bytes]:
    """File name → content of everything in docs/examples."""
    files = {}
    for name, report in reports.items():
        files[f"{name}.json"] = render_json(report)
        # Not `drifted.md`: the site writes `drifted.html` from that, and there is one.
        files[f"{name}-as-markdown.md"] = render_markdown(report)
        files[f"{name}.html"] = render_html(report)
    files["index.md"] = _index(reports).encode()
    return files


def _index(reports: Mapping[str, Report]) -> str:
    rows = ["| | outcome | what it shows | |", "|---|---|---|---|"]
    for kind in KINDS:
        headline = reports[kind.name].headline
        forms = (
            f"[HTML]({kind.name}.html), [Markdown]({kind.name}-as-markdown.md), "
            f"[JSON]({kind.name}.json)"
        )
        rows.append(f"| **{kind.name}** | {headline.outcome} | {kind.says} | {forms} |")
    sentences = [
        f"- **{kind.name}**: {markdown(reports[kind.name].headline.sentence)}" for kind in KINDS
    ]
    first = "\nTheir first sentences:\n\n"
    return f"{_HEAD}{chr(10).join(rows)}\n{first}{chr(10).join(sentences)}\n{_FOOT}"


def stale(folder: Path = FOLDER) -> list[str]:
    """What is not as today's code writes it: a line for each file, and what to do."""
    try:
        reports = {kind.name: report_of(kind.name, folder) for kind in KINDS}
    except (FileNotFoundError, ValueError) as error:
        return [f"{error}; `make examples` makes the examples anew"]
    wanted = written_from(reports)
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    how = "`python -m tools.examples --render` writes it"
    lines = [
        f"docs/examples/{name} is not what today's code renders; {how}"
        for name, content in sorted(wanted.items())
        if found.get(name) != content
    ]
    lines += [f"docs/examples/{name} is no example" for name in sorted(found.keys() - wanted)]
    if (size := sum(map(len, found.values()))) > LIMIT:
        lines.append(f"docs/examples has {size:,} bytes, more than {LIMIT:,}")
    return lines
