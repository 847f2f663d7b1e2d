"""docker-compose.yml as Compose would see it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.unit.deploy.installed import ROOT

FILE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>[A-Z_]+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}|\$(?!\$)")


class MissingVariableError(Exception):
    """A variable that must be set is not; the message is the file's own."""


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """The text with `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$` put in."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        if match["name"] is None:
            raise ValueError(f"a bare $ at {text[match.start() : match.start() + 20]!r}")
        value = variables.get(match["name"], "")
        if value or match["kind"] is None:
            return value
        if match["kind"] == "?":
            raise MissingVariableError(match["text"])
        return str(match["text"])

    return _VARIABLE.sub(replace, text)


def variables_of(path: Path = FILE) -> dict[str, str | None]:
    """Variable → how it is asked for: `-`, `?`, or nothing."""
    return {
        match["name"]: match["kind"]
        for match in _VARIABLE.finditer(path.read_text())
        if match["name"]
    }


def load(path: Path = FILE, **variables: str) -> dict[str, Any]:
    """The file with its variables put in, each string by itself, as Compose does."""
    given = {"SECRETS_DIR": "/secrets", "MODELS_DIR": "/checkpoints"} | variables

    def put(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: put(value) for key, value in node.items()}
        if isinstance(node, list):
            return [put(value) for value in node]
        return interpolate(node, given) if isinstance(node, str) else node

    document = put(yaml.safe_load(path.read_text()))
    assert isinstance(document, dict)
    return document


def environment(service: Mapping[str, Any]) -> dict[str, str]:
    """The service's variables."""
    given = service.get("environment", {})
    assert isinstance(given, dict), "variables are written as a mapping"
    return {name: str(value) for name, value in given.items()}
