"""The fenced blocks of a page, and whether an output is what the page shows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt

_DIRECTIVE = re.compile(r"<!-- (?P<what>not run|in the background|exit (?P<code>\d+))(?::.*)? -->")
_TITLE = re.compile(r'title="(?P<name>[^"]+)"')


@dataclass(frozen=True)
class Block:
    """A file to save, or a command to run and what it shows."""

    language: str
    content: str
    title: str | None = None
    directive: str | None = None
    exit_code: int = 0
    output: str | None = None


def blocks(page: str) -> Iterator[Block]:
    """All blocks of the page in order; an output belongs to the command before it.

    Raises:
        ValueError: a block is of a kind that is not known here.
    """
    waiting: Block | None = None
    directive: re.Match[str] | None = None
    for token in MarkdownIt("commonmark").parse(page):
        if token.type == "html_block":
            directive = _DIRECTIVE.fullmatch(token.content.strip())
            if directive is None:
                raise ValueError(f"{token.content!r} says nothing that is known here")
        if token.type != "fence":
            continue
        language, _, rest = token.info.partition(" ")
        if language == "text" and waiting is not None:
            shown = Block(**{**vars(waiting), "output": token.content})
            waiting = None
            yield shown
            continue
        if waiting is not None:
            yield waiting
            waiting = None
        title = _TITLE.search(rest)
        if language == "python" and title:
            yield Block(language, token.content, title=title["name"])
        elif language == "sh":
            code = int(directive["code"] or 0) if directive else 0
            what = directive["what"] if directive else None
            waiting = Block(language, token.content, directive=what, exit_code=code)
        else:
            raise ValueError(f"line {(token.map or [0])[0] + 1}: a block of {token.info!r}")
        directive = None
    if waiting is not None:
        yield waiting


def pattern(shown: str) -> re.Pattern[str]:
    """What an output must match: `…` stands for anything, alone on a line for any lines.

    Figures with a decimal point may be others, and blanks between columns any number.
    """
    lines = []
    for line in shown.strip("\n").split("\n"):
        if line.strip() == "…":
            lines.append(r"(?:[^\n]*\n)*?")
        else:
            words = [_word(word) for word in line.split()]
            lines.append(r"[^\S\n]*" + r"[^\S\n]+".join(words) + r"[^\S\n]*\n")
    return re.compile("".join(lines))


def _word(word: str) -> str:
    figures = re.sub(r"\d+\\\.\d+", lambda _: r"\d+\.\d+(?:e-\d+)?", re.escape(word))
    return figures.replace("…", "[^\\n]*")
