"""Texts that every part of the system can store: no NUL, no half of a surrogate pair."""

from typing import Any

MAX_DEPTH = 64
_HOLDS_TEXT = (dict, list, tuple)


def text_fault(text: str) -> str | None:
    """Why a text cannot be stored as UTF-8 in Postgres, or None when it can."""
    if "\x00" in text:
        return "contains a NUL character (U+0000), which cannot be stored; remove it"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return (
            f"contains the lone surrogate U+{ord(text[error.start]):04X} at character "
            f"{error.start}, which is no Unicode text; send valid UTF-8"
        )
    return None


def find_text_fault(value: Any) -> tuple[tuple[str | int, ...], str] | None:
    """The first text inside a JSON value (keys too) that cannot be stored, or too deep a place.

    Returns:
        Its path from the top, and why; None when every text is fine.
    """
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while pending:
        path, item = pending.pop()
        if len(path) > MAX_DEPTH:
            return path[:1], f"is nested more than {MAX_DEPTH} levels deep; nothing needs that"
        if isinstance(item, str):
            if fault := text_fault(item):
                return path, fault
        elif isinstance(item, dict):
            for key, child in item.items():
                if fault := text_fault(str(key)):
                    return path, f"a key {fault}"
                pending.append(((*path, key), child))
        elif isinstance(item, list | tuple):
            # Vectors of a million numbers pass here: only what can hold a text is looked at, and
            # texts at once, or a million of them would wait with a path each.
            for index, child in enumerate(item):
                if isinstance(child, str):
                    if fault := text_fault(child):
                        return (*path, index), fault
                elif isinstance(child, _HOLDS_TEXT):
                    pending.append(((*path, index), child))
    return None
