"""The settings' page, from `Settings` itself."""

from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from app.settings import Settings
from tools.docs.words import WRITTEN, cell, code

HEAD = f"""{WRITTEN}
# Settings

Read from the environment, once, when a process starts; what no variable sets is looked for in a
file of the variable's name in lower case in the secrets folder. `featuredrift settings` prints them
as they are here and now, without secrets. Times are in seconds.
[Running it](../operations.md#settings) groups them by what they are for.

| variable | type | default | |
|---|---|---|---|
"""
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"))


def render() -> str:
    """The whole page."""
    rows = [_row(name, field) for name, field in sorted(Settings.model_fields.items())]
    return HEAD + "\n".join(rows) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    if not field.description:
        raise ValueError(f"the setting {name} has no description")
    own = f"FEATUREDRIFT_{name.upper()}"
    alias = getattr(field.validation_alias, "choices", None) or (own,)
    names = " or ".join(code(str(one)) for one in alias)
    kind, default = _type(field), _default(name, field)
    return f"| {names} | {kind} | {default} | {cell(field.description)} |"


def _type(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    if get_origin(annotation) is Literal:
        return " ".join(code(str(value)) for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "list"
    if get_origin(annotation) is dict:
        return "JSON object"
    if len(kinds) == 1:
        annotation = kinds[0]
    names = {bool: "true or false", int: "integer", float: "number", str: "text", Path: "folder"}
    return names[annotation] + _bounds(field)


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(one, name):g}"
        for one in field.metadata
        for name, sign in signs.items()
        if getattr(one, name, None) is not None
    ]
    return f", {', '.join(found)}" if found else ""


def _default(name: str, field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or value in ("", (), {}):
        return ""
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, tuple):
        return code(",".join(f"{one:g}" for one in value))
    if isinstance(value, int | float) and name.endswith("_bytes"):
        for size, unit in _UNITS:
            if value % size == 0:
                return f"{code(str(value))} ({int(value // size)} {unit})"
    return code(f"{value:g}" if isinstance(value, float) else str(value))
