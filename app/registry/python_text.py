"""Local names of a Python source that may be renamed without changing what the source does."""

import ast
import builtins
import io
import keyword
import re
import symtable
import tokenize
from collections.abc import Callable, Iterator
from tokenize import TokenInfo as Token

_KEPT = frozenset({*dir(builtins), *keyword.kwlist, *keyword.softkwlist, "self", "cls", "_"})
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
_MAX_NESTING = 100
"""Deeper brackets than people write may exhaust the C stack of the parser."""
# An f-string is one token before Python 3.12 and many since.
_F_STRING_START = getattr(tokenize, "FSTRING_START", None)
_F_STRING_END = getattr(tokenize, "FSTRING_END", None)


def python_tokens(text: str) -> list[Token] | None:
    """The tokens of a text that is valid Python; None for every other text."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, *_UNREADABLE):
        return None
    depth = deepest = 0
    for token in tokens:
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
        deepest = max(deepest, depth)
    if deepest > _MAX_NESTING:
        return None
    try:
        ast.parse(text)
    except _UNREADABLE:
        return None
    return tokens


def local_names(text: str, tokens: list[Token]) -> set[str]:
    """Names that are bound only inside functions, and stand for nothing else anywhere in the text.

    Left out are builtins, imported names, names of modules and classes, keyword arguments of calls,
    and names that appear in an f-string or that are exposed by `locals()` and its like.

    Args:
        text: valid Python.
        tokens: of the text.
    """
    tree = ast.parse(text)
    try:
        scopes = list(_scopes(symtable.symtable(text, "document", "exec")))
    except _UNREADABLE:
        return set()
    bound: set[str] = set()
    kept: set[str] = set(_KEPT)
    for scope in scopes:
        local = scope.get_type() == "function"
        for symbol in scope.get_symbols():
            name = symbol.get_name()
            inside = local and not symbol.is_global() and not symbol.is_imported()
            if not inside or symbol.is_namespace():
                kept.add(name)
            elif symbol.is_local() or symbol.is_parameter():
                bound.add(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg is not None:
            kept.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            # What is imported, and from where: symbols only tell what it is called here.
            sources = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            kept.update(part for source in sources for part in source.split("."))
        elif isinstance(node, ast.MatchClass):
            kept.update(node.kwd_attrs)
        elif isinstance(node, ast.Name) and node.id in ("locals", "vars", "eval", "exec"):
            return set()
    kept.update(_f_string_words(text, tokens))
    return {name for name in bound - kept if name.isidentifier() and not name.startswith("__")}


def places(text: str, tokens: list[Token], names: set[str]) -> Iterator[tuple[int, int, str]]:
    """Start, end and name of each place where one of the names stands, attributes left out."""
    offset = _offsets(text)
    before = ""
    for token in tokens:
        if token.type == tokenize.NAME and token.string in names and before != ".":
            yield offset(token.start), offset(token.end), token.string
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            before = token.string


def string_spans(text: str, tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """Where strings stand, f-strings as a whole, in order."""
    offset = _offsets(text)
    depth = begin = 0
    for token in tokens:
        if token.type == _F_STRING_START:
            begin = begin if depth else offset(token.start)
            depth += 1
        elif token.type == _F_STRING_END:
            depth -= 1
            if not depth:
                yield begin, offset(token.end)
        elif token.type == tokenize.STRING and not depth:
            yield offset(token.start), offset(token.end)


def words(tokens: list[Token]) -> set[str]:
    """Every name of the text, and every word inside its strings and comments."""
    return {word for token in tokens for word in _words(token.string)}


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    pending = [table]
    while pending:
        scope = pending.pop()
        yield scope
        pending.extend(scope.get_children())


def _f_string_words(text: str, tokens: list[Token]) -> Iterator[str]:
    for start, end in string_spans(text, tokens):
        string = text[start:end]
        prefix = string.partition("'")[0].partition('"')[0]
        if "f" in prefix.lower():
            yield from _words(string)


def _offsets(text: str) -> Callable[[tuple[int, int]], int]:
    """From a token's line (from 1) and column to the place in the text."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    return lambda place: starts[place[0] - 1] + place[1]


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()
