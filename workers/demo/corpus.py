"""The demo's corpus: Python's own standard library, labelled by Python's own tokenizer.

Truth that nobody had to annotate: `tokenize` says exactly which characters are a comment, a string
or a number. Files are split into training documents and probe documents by a hash of their path,
so no probe document was ever trained on.
"""

import hashlib
import io
import keyword
import sysconfig
import tokenize
from pathlib import Path

from app.registry.documents import Document, Span
from workers.demo.recipe import Recipe
from workers.errors import EvaluationError

CONCEPTS = ("comment", "string", "number", "keyword", "definition", "import", "operator")

# Tables of characters and generated documentation would swamp the code; installed packages and
# build records differ from machine to machine.
_SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "idle_test", "site-packages", "dist-packages", "encodings", "pydoc_data"}
    | {"__pycache__", "lib-dynload", "_bundled", "__phello__", "turtledemo"}
)
_SKIPPED_PREFIXES = ("_sysconfigdata", "config-", "__hello__")
# The language reference's delimiters: they structure code, they compute nothing.
_DELIMITERS = frozenset("()[]{},:.;") | {"->", "..."}
# Names of token types that open and close a formatted string since Python 3.12 and 3.14.
_OPENS_STRING = frozenset({"FSTRING_START", "TSTRING_START"})
_CLOSES_STRING = frozenset({"FSTRING_END", "TSTRING_END"})

Labels = dict[str, tuple[Span, ...]]


def label(text: str) -> Labels:
    """Concept labels of Python source, as character spans.

    A formatted string is one string from its prefix to its closing quote on every Python version
    (up to 3.11 it is one token, since 3.12 many). An import is the whole logical line.

    Args:
        text: source code with newlines as ``\\n``.

    Raises:
        ValueError: the text does not tokenize, or the positions do not fit the text.
    """
    starts = _line_starts(text)
    spans: dict[str, list[Span]] = {concept: [] for concept in CONCEPTS}
    string_depth = 0
    string_start = 0
    import_start: int | None = None
    line_begins = True
    previous = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            kind = tokenize.tok_name[token.type]
            start = starts[token.start[0] - 1] + token.start[1]
            end = starts[min(token.end[0], len(starts)) - 1] + token.end[1]
            if kind in _OPENS_STRING:
                if string_depth == 0:
                    string_start = start
                string_depth += 1
                line_begins = False
            elif kind in _CLOSES_STRING:
                string_depth -= 1
                if string_depth == 0:
                    spans["string"].append((string_start, end))
            if string_depth or kind in _CLOSES_STRING:
                continue
            if kind == "NEWLINE":
                if import_start is not None:
                    spans["import"].append((import_start, start))
                    import_start = None
                line_begins = True
                continue
            concept = _concept(kind, token.string, previous)
            if concept is not None:
                if text[start:end] != token.string:
                    raise ValueError(f"line {token.start[0]} is not where it should be")
                spans[concept].append((start, end))
            if kind in {"NAME", "OP", "NUMBER", "STRING"}:
                if line_begins and token.string in {"import", "from"}:
                    import_start = start
                line_begins = False
                previous = token.string
    except (tokenize.TokenError, SyntaxError, IndexError) as error:
        raise ValueError(f"does not tokenize: {error}") from error
    return {concept: tuple(found) for concept, found in spans.items()}


def _concept(kind: str, string: str, previous: str) -> str | None:
    if kind in {"COMMENT", "STRING", "NUMBER"}:
        return kind.lower()
    if kind == "NAME":
        if previous in {"def", "class"}:
            return "definition"
        return "keyword" if keyword.iskeyword(string) else None
    if kind == "OP" and string not in _DELIMITERS:
        return "operator"
    return None


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts


def without_comments(document: Document) -> str:
    """The source with every comment cut out, and lines that held nothing else dropped."""
    pieces, at = [], 0
    for start, end in document.labels["comment"]:
        line = document.text.rfind("\n", 0, start) + 1
        if document.text[line:start].strip() == "":
            # The newline goes too, else the comment's ghost stays as an empty line.
            pieces.append(document.text[at : max(at, line)])
            at = min(end + 1, len(document.text))
        else:
            pieces.append(document.text[at:start].rstrip(" "))
            at = end
    return "".join([*pieces, document.text[at:]])


def standard_library(recipe: Recipe) -> tuple[list[Document], list[Document]]:
    """(training, probe) documents from the running interpreter's standard library.

    Raises:
        EvaluationError: this interpreter has no readable standard library of enough files.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    documents = [
        document
        for path in sorted(root.rglob("*.py"))
        if (document := _read(root, path, recipe)) is not None
    ]
    # By hash, not by name: names cluster by package, and packages differ in style.
    documents.sort(key=lambda document: hashlib.sha256(document.id.encode()).digest())
    short = [d for d in documents if len(d.text) <= recipe.max_probe_characters]
    probe = short[: recipe.probe_documents]
    probe_ids = {document.id for document in probe}
    training = [document for document in documents if document.id not in probe_ids]
    if len(training) < len(probe):
        raise EvaluationError(
            "standard_library_too_small",
            f"found {len(documents)} usable source files under {root}; the demo needs "
            f"{2 * recipe.probe_documents}. Run it with a Python that has its standard library "
            "as files.",
        )
    return sorted(training, key=lambda d: d.id), sorted(probe, key=lambda d: d.id)


def _read(root: Path, path: Path, recipe: Recipe) -> Document | None:
    relative = path.relative_to(root)
    if _SKIPPED_FOLDERS.intersection(relative.parts) or any(
        part.startswith(_SKIPPED_PREFIXES) for part in relative.parts
    ):
        return None
    try:
        with tokenize.open(path) as file:
            text = file.read()
        if not recipe.min_characters <= len(text) <= recipe.max_characters or "\0" in text:
            return None
        return Document(id=relative.as_posix(), text=text, labels=label(text))
    except (OSError, SyntaxError, ValueError):
        # Some files of a standard library are broken on purpose, or belong to another Python.
        return None
