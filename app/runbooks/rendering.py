"""From a runbook's Markdown to one self-contained HTML page."""

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from posixpath import join, normpath

from markdown_it import MarkdownIt
from markdown_it.token import Token

INDEX = "README"
_SOURCE = "docs/runbooks"
# What the pages call the service; a reader gets the address that it has.
_ADDRESS = "http://127.0.0.1:8321"
_ELSEWHERE = re.compile(r"https?://")
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem;
  background: Canvas; color: CanvasText; overflow-wrap: anywhere; }
code, pre { font: 0.9em/1.45 ui-monospace, monospace; }
pre { padding: 0.75rem; border: 1px solid #8886; border-radius: 4px; }
pre, code { white-space: pre-wrap; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.75rem 0.25rem 0; }
td { border-top: 1px solid #8886; }
""".strip()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
    "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@lru_cache(maxsize=1)
def sources() -> Mapping[str, str]:
    """Name of a page → its Markdown; `README` is the index."""
    folder = files("app.runbooks") / "pages"
    return {
        entry.name.removesuffix(".md"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".md")
    }


@lru_cache(maxsize=64)
def render(name: str, address: str) -> str:
    """A page as HTML: everything escaped, no script, nothing loaded from anywhere.

    Args:
        name: one of `sources()`.
        address: how people reach the API; it stands in the page's commands.

    Raises:
        KeyError: there is no such page.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(sources()[name])
    for token in tokens:
        if token.children is not None:
            token.children = _linked(token.children)
        for part in (token, *(token.children or ())):
            if part.type in {"text", "code_inline", "code_block", "fence"}:
                part.content = part.content.replace(_ADDRESS, address)
    for cell, content, end in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if cell.type == "th_open" and not content.content:
            # A column without a name has no header, which a screen reader would announce.
            cell.tag = end.tag = "td"
    body = parser.renderer.render(tokens, parser.options, {})
    title = "Runbooks" if name == INDEX else f"{name} · Runbook"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _linked(tokens: list[Token]) -> list[Token]:
    """The tokens of one line of text; a link to what is not served becomes its path in the source.

    Links to other runbooks stay as they are: relative, so that they hold behind any address.
    """
    found: list[Token] = []
    inside = False
    for token in tokens:
        if token.type == "link_open":
            target = str(token.attrGet("href") or "")
            if _ELSEWHERE.match(target) or target.removesuffix(".md") in sources():
                found.append(token)
                continue
            inside = True
            path = normpath(join(_SOURCE, target))
            found.append(Token("code_inline", "code", 0, content=path, markup="`"))
        elif token.type == "link_close" and inside:
            inside = False
        elif not inside:
            found.append(token)
    return found
