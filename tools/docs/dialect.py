"""From CommonMark, which the pages are written in, to the dialect that MkDocs renders.

Python-Markdown wants an empty line before a list or a table, and four blanks of indentation for
what belongs to a list's item. The pages are read in editors and on code hosts too, where neither
is needed; so they are laid out anew for the site, and stay as they are in the repository.
"""

import re

from markdown_it import MarkdownIt

_PARSER = MarkdownIt("commonmark").enable("table")
_ITEM = re.compile(r"(\s*)([-*+]|\d{1,9}[.)])(\s+|$)")
_BLOCKS = frozenset(
    {"bullet_list_open", "ordered_list_open", "table_open", "fence", "blockquote_open"}
)
_INDENT = 4


def for_python_markdown(text: str) -> str:
    """The same page, laid out so that Python-Markdown sees the same blocks."""
    lines = text.split("\n")
    offset = [0] * len(lines)
    depth = [0] * len(lines)
    breaks: set[int] = set()
    items: list[list[int]] = []
    for token in _PARSER.parse(text):
        if token.map is None:
            continue
        if token.type == "list_item_open":
            _note_item(token.map, lines, offset, depth)
            items.append(token.map)
        elif token.type in _BLOCKS:
            breaks.add(token.map[0])
            if token.type == "fence":
                breaks.add(token.map[1])
    for first, end in reversed(items):
        # What follows an item of several blocks is no part of the last of them.
        within = range(first + 1, end)
        if any(number in breaks or not lines[number].strip() for number in within):
            breaks.add(end)
    laid_out: list[str] = []
    for number, line in enumerate(lines):
        if number in breaks and line.strip() and laid_out and laid_out[-1].strip():
            laid_out.append("")
        if line.strip():
            own = min(offset[number], len(line) - len(line.lstrip()))
            line = " " * (_INDENT * depth[number]) + line[own:]
        laid_out.append(line)
    return "\n".join(laid_out)


def _note_item(span: list[int], lines: list[str], offset: list[int], depth: list[int]) -> None:
    """Lines of an item after its first lie one level deeper than its marker."""
    first, end = span
    found = _ITEM.match(lines[first], offset[first])
    if found is None:  # an item that begins on the line of its parent's marker
        return
    inner = found.end() if found[3] else found.end() + 1
    for number in range(first + 1, end):
        offset[number] = inner
        depth[number] += 1
