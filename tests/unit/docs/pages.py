"""What the pages show as code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
GENERATED = (DOCS / "cli.md", DOCS / "reference", DOCS / "examples")


@dataclass(frozen=True)
class Code:
    """A block of a page, or a few words within a sentence."""

    place: str
    language: str
    text: str
    inline: bool


def pages() -> list[Path]:
    """README and all pages that people write."""
    found = [
        path
        for path in sorted(DOCS.rglob("*.md"))
        if not any(path == one or one in path.parents for one in GENERATED)
    ]
    return [ROOT / "README.md", *found]


def code_of(path: Path) -> Iterator[Code]:
    """All code of a page."""
    name = path.relative_to(ROOT).as_posix()
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "fence":
            yield Code(f"{name}:{line}", token.info.split(" ")[0], token.content, inline=False)
        for child in token.children or ():
            if child.type == "code_inline":
                yield Code(f"{name}:{line}", "", child.content, inline=True)


def logical_lines(text: str) -> Iterator[str]:
    """Lines of a shell script, those that a backslash continues in one."""
    yield from re.sub(r"\\\n\s*", " ", text).split("\n")
