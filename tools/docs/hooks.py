"""Hooks of MkDocs: the pages' dialect, and files of the repository that pages link to.

A link such as `../deploy/examples/gitlab-ci.yml` works in the repository. On the site, each such
file becomes a page that shows it, and a folder one that lists it, so that no link leads nowhere
and none needs a code host.
"""

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import PrefixedLogger, get_plugin_logger
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.docs.dialect import for_python_markdown  # noqa: E402 - the path comes first

FOLDER = "repository"
"""Where the site keeps the repository's files."""

_LINK = re.compile(r"(?<=\]\()(?P<target>[^()\s#:]+)(?P<anchor>#[^()\s]*)?(?=\))")
_INCLUDE = re.compile(r'^--8<-- "(?P<path>[^"]+)"$', re.MULTILINE)
_LANGUAGES = {
    ".json": "json",
    ".py": "python",
    ".sh": "bash",
    ".sql": "sql",
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_log: PrefixedLogger = get_plugin_logger("repository")


def _outside(source: str, target: str) -> str | None:
    """The path in the repository that a page's link leads to, if it lies outside of docs."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(source), target))
    return None if path == "docs" or path.startswith(("docs/", "../")) else path


def _shown(path: str) -> tuple[str, str]:
    """Where the site shows a file or folder of the repository, and the page."""
    full = ROOT / path
    if full.is_dir():
        names = sorted(entry.name for entry in full.iterdir() if not entry.name.startswith("__"))
        listed = "\n".join(f"- [{name}]({name}.md)" for name in names if (full / name).is_file())
        return f"{FOLDER}/{path}/index.md", f"# `{path}/`\n\n{listed}\n"
    language = _LANGUAGES.get(full.suffix, "text")
    text = full.read_text(encoding="utf-8")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{FOLDER}/{path}.md", f"# `{path}`\n\n{fence}{language}\n{text}\n{fence}\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file of the repository that a page links to."""
    wanted: set[str] = set()
    for file in files.documentation_pages():
        for found in _LINK.finditer(file.content_string):
            path = _outside(file.src_uri, found["target"])
            if path is None:
                continue
            full = ROOT / path
            if not full.exists():
                _log.warning(
                    f"{file.src_uri} links to {found['target']}, which the repository has not"
                )
                continue
            wanted.add(path)
            if full.is_dir():
                wanted.update(
                    one.relative_to(ROOT).as_posix() for one in full.iterdir() if one.is_file()
                )
    for path in sorted(wanted):
        uri, content = _shown(path)
        page = File.generated(config, uri, content=content, inclusion=InclusionLevel.NOT_IN_NAV)
        files.append(page)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links out of docs to the pages that stand for their files, and lay the page out."""
    source: str = page.file.src_uri
    if source.startswith(f"{FOLDER}/"):
        return markdown

    def lead(found: re.Match[str]) -> str:
        path = _outside(source, found["target"])
        if path is None or not (ROOT / path).exists():
            return found[0]
        there = f"{FOLDER}/{path}/index.md" if (ROOT / path).is_dir() else f"{FOLDER}/{path}.md"
        return posixpath.relpath(there, posixpath.dirname(source) or ".")

    # A file of the repository that is a page as a whole, such as SECURITY.md, links to nothing.
    whole = _INCLUDE.sub(lambda found: (ROOT / found["path"]).read_text("utf-8"), markdown)
    return for_python_markdown(_LINK.sub(lead, whole))
