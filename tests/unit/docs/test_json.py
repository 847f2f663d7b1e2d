"""JSON that a page shows is JSON that the service takes."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter

from app.monitors.policy import DriftPolicy
from app.registry.definitions import Feature
from app.registry.documents import Document
from tests.support.application import application
from tests.unit.docs.pages import Code, code_of, logical_lines, pages

FEATURES: TypeAdapter[list[Feature]] = TypeAdapter(list[Feature])


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    return application().openapi()


def blocks() -> Iterator[Code]:
    """Blocks that say that they are JSON, or JSON Lines."""
    for path in pages():
        for code in code_of(path):
            if code.language == "json":
                yield code


def values(text: str) -> list[Any]:
    """One JSON value, or one a line."""
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


def check(value: Any) -> None:
    """Features, a policy, or a document are what they look like."""
    if isinstance(value, list) and all(isinstance(one, dict) and "kind" in one for one in value):
        FEATURES.validate_python(value)
    elif isinstance(value, dict) and {"margins", "gate", "controls", "causal"} & value.keys():
        DriftPolicy.model_validate(value)
    elif isinstance(value, dict) and {"id", "text"} <= value.keys():
        assert value.keys() <= set(Document.__dataclass_fields__)


def test_every_block_of_json_is_what_it_looks_like() -> None:
    seen = 0
    for code in blocks():
        seen += 1
        try:
            for value in values(code.text):
                check(value)
        except Exception as error:
            raise AssertionError(f"{code.place}: {error}") from error
    assert seen >= 4


def calls() -> Iterator[tuple[str, str, str, Any]]:
    """(place, method, path, body) of each call of the API with a JSON body."""
    for path in pages():
        for code in code_of(path):
            for line in logical_lines(_joined(code.text)):
                if "curl" in line and "--json" in line and "$API" in line:
                    yield from _call(code.place, line[line.index("curl") :])


def _joined(text: str) -> str:
    # A quoted body may go over several lines.
    return re.sub(r"'[^']*'", lambda found: found[0].replace("\n", " "), text)


def _call(place: str, line: str) -> Iterator[tuple[str, str, str, Any]]:
    line = re.sub(r":\$(?:\{[A-Z]+\}|[A-Z]+)(?=[,}])", ":1", line)
    words = shlex.split(line, comments=True)
    body = re.sub(r"\$\{?[A-Z]+\}?", "x", words[words.index("--json") + 1])
    method = words[words.index("-X") + 1] if "-X" in words else "POST"
    url = next(word for word in words if word.startswith("$API"))
    yield place, method, "/v1" + url.removeprefix("$API").split("?")[0], json.loads(body)


def operation(description: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """The call's description.

    Raises:
        LookupError: there is no such call.
    """
    for template, operations in description["paths"].items():
        pattern = re.sub(r"\\\{[a-z_]+\\\}", "[^/:]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in operations:
            found: dict[str, Any] = operations[method.lower()]
            return found
    raise LookupError(f"there is no {method} {path}")


def test_every_call_with_a_body_is_one_that_the_api_takes(description: dict[str, Any]) -> None:
    seen, wrong = 0, []
    for place, method, path, body in calls():
        seen += 1
        try:
            found = operation(description, method, path)
            schema = found["requestBody"]["content"]["application/json"]["schema"]
            jsonschema.validate(body, {**schema, "components": description["components"]})
        except (LookupError, jsonschema.ValidationError) as error:
            wrong.append(f"{place}: {method} {path}: {getattr(error, 'message', error)}")
    assert not wrong, "\n".join(wrong)
    assert seen >= 15
