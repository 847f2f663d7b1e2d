"""The REST reference, from the OpenAPI description that the API serves."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from app.access.rules import RULES
from app.main import create_app
from app.settings import Settings
from tools.docs.schemas import Schemas, kind_of
from tools.docs.words import WRITTEN, cell, code

HEAD = f"""{WRITTEN}
# REST reference

Every call, with what it takes and answers. A running service shows the same at `/docs`, and as a
document for programs at `/openapi.json`. [REST API by task](../api.md) has conventions and calls to
copy; [keys](../keys.md) says what the scopes are. Any call may be answered by a
[problem](#problem). POSTs take the header `Idempotency-Key`.
"""
_BOTH = ("idempotency-key",)
"""Parameters that the conventions explain once for all."""


def render() -> str:
    """The whole page."""
    description = create_app(Settings()).openapi()
    schemas = Schemas(description["components"]["schemas"])
    grouped: dict[str, list[str]] = defaultdict(list)
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            section = "\n".join(_operation(method.upper(), path, operation, schemas))
            grouped[operation.get("tags", ["service"])[0]].append(section)
    parts = [
        f"\n## {tag.replace('-', ' ').capitalize()}\n\n" + "\n".join(sections)
        for tag, sections in sorted(grouped.items())
    ]
    return HEAD + "".join(parts) + "\n## Schemas\n\n" + schemas.render()


def _operation(
    method: str, path: str, operation: Mapping[str, Any], schemas: Schemas
) -> Iterator[str]:
    yield f"### {method} {path}\n"
    if text := operation.get("description"):
        yield f"{_paragraphs(text)}\n"
    scope = RULES.get(f"{method} {path}", "admin")
    yield {"open": "No key is needed.", "signed": "The message itself is signed."}.get(
        scope, f"Scope: `{scope}`."
    ) + "\n"
    parameters = [one for one in operation.get("parameters", ()) if one["name"] not in _BOTH]
    if parameters:
        yield "| parameter | in | type | |\n|---|---|---|---|"
        for one in parameters:
            needed = "**required** " if one.get("required") and one["in"] != "path" else ""
            text = needed + cell(one.get("description", ""))
            yield f"| {code(one['name'])} | {one['in']} | {kind_of(one['schema'])} | {text} |"
        yield ""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content.get("schema", {})
        yield f"Body, {code(media)}: {schemas.link(schema)}\n"
        example = schemas.example(schema)
        if example is not None:
            yield f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```\n"
    yield "| status | answer |\n|---|---|"
    for status, response in sorted(operation["responses"].items()):
        if status == "default":
            continue
        answers = [
            f"{code(media)} {schemas.link(content.get('schema', {}))}".strip()
            for media, content in response.get("content", {}).items()
        ]
        told = response.get("description", "")
        words = [] if told in {"OK", "Successful Response"} else [cell(told)]
        yield f"| {status} | {'; '.join([*words, *answers])} |"
    yield ""


def _paragraphs(text: str) -> str:
    return text.replace("<", "&lt;").strip()
