"""The OpenAPI description's schemas, as tables that calls link to."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.docs.words import cell, code

_REFERENCE = "#/components/schemas/"


def kind_of(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, with a link where it is one of its own."""
    if reference := schema.get("$ref"):
        name = reference.removeprefix(_REFERENCE)
        return f"[{_title(name)}](#{_anchor(name)})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            kinds = [kind_of(one) for one in schema[several]]
            return " or ".join(dict.fromkeys(kinds))
    if "const" in schema:
        return code(str(schema["const"]))
    if "enum" in schema:
        return ", ".join(code(str(value)) for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(kind_of(one) for one in schema['prefixItems'])}]"
        return f"list of {kind_of(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {kind_of(schema['additionalProperties'])}"
    if kind is None:
        return "anything"
    named = schema.get("format")
    return f"{kind} ({named})" if named else str(kind)


def _title(name: str) -> str:
    return re.sub(r"^Page_(\w+?)_$", r"page of \1", name)


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", _title(name).lower()).strip("-")


class Schemas:
    """All schemas by name."""

    def __init__(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        self._schemas = schemas
        # A body that is written out at its call has the same title as one of the schemas has not.
        self._inline: dict[str, Mapping[str, Any]] = {}

    def link(self, schema: Mapping[str, Any]) -> str:
        """The schema's name as a link, or in a few words."""
        if not schema:
            return ""
        if "properties" in schema and (title := schema.get("title")):
            self._inline.setdefault(title, schema)
            return kind_of({"$ref": _REFERENCE + title})
        return kind_of(schema)

    def example(self, schema: Mapping[str, Any]) -> Any:
        """The first example of a schema; none without one."""
        if reference := schema.get("$ref"):
            schema = self._schemas[reference.removeprefix(_REFERENCE)]
        examples = schema.get("examples")
        return examples[0] if examples else None

    def render(self) -> str:
        """A table for each schema."""
        named = {**self._inline, **self._schemas}
        return "\n".join(line for name in sorted(named) for line in self._table(name, named[name]))

    def _table(self, name: str, schema: Mapping[str, Any]) -> Iterator[str]:
        yield f"### {_title(name)}\n"
        if text := schema.get("description"):
            yield text.replace("<", "&lt;") + "\n"
        properties = schema.get("properties")
        if not properties:
            yield f"{kind_of(schema)}\n"
            return
        required = set(schema.get("required", ()))
        yield "| field | type | |\n|---|---|---|"
        for field, one in properties.items():
            words = ["**required**"] if field in required and "Out" not in name else []
            if text := one.get("description"):
                words.append(cell(text))
            if one.get("default") not in (None, [], {}):
                words.append(f"default {code(str(one['default']))}")
            yield f"| {code(field)} | {kind_of(one)} | {'; '.join(words)} |"
        yield ""
