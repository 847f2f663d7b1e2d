"""Pieces of Markdown that generated pages are made of."""

WRITTEN = (
    "<!-- Written by `make docs-reference`; change the code that it speaks of, not this file. -->"
)


def code(text: str) -> str:
    """Text as it is typed, also within a table."""
    fence = "``" if "`" in text else "`"
    escaped = text.replace("|", "\\|")
    return f"{fence}{escaped}{fence}" if text else ""


def cell(text: str) -> str:
    """Text of a table's cell: one line, no column of its own, no markup by accident."""
    line = " ".join(text.split())
    return line.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
