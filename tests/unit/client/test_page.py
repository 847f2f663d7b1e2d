"""docs/client.md names what there is."""

import ast
import inspect
import re
from pathlib import Path

import app.client
from app.client import Client

PAGE = (Path(__file__).parents[3] / "docs" / "client.md").read_text(encoding="utf-8")


def test_every_method_is_named_and_no_other() -> None:
    with Client("http://localhost") as client:
        parts = {name: part for name, part in vars(client).items() if name != "transport"}
    told = {}
    for name, methods in re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE):
        if name in parts:
            without_notes = re.sub(r"\([^)]*\)", "", methods)
            told[name] = set(re.findall(r"`(\w+)`", without_notes))
    there = {
        name: {m for m, _ in inspect.getmembers(part, inspect.ismethod) if not m.startswith("_")}
        for name, part in parts.items()
    }
    assert told == there


def test_every_error_is_named() -> None:
    for name in app.client.__all__:
        if name.endswith("Error"):
            assert f"`{name}`" in PAGE


def test_examples_are_python() -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        compile(example, "client.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
