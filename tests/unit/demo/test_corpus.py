"""Labels come from Python's tokenizer and land on the right characters."""

import ast

import pytest

from app.registry.documents import Document, parse_jsonl, to_jsonl
from workers.demo.corpus import CONCEPTS, label, standard_library, without_comments
from workers.demo.recipe import Recipe

SOURCE = '''"""Doc — with a dash."""
import os.path as p  # why
from typing import (
    Any,  # inside
    Final,
)


class Thing(Base):
    π: Final = 3.5e-2

    async def méthode(self, x):
        if x is not None and x >= 0x1F:
            raise ValueError(f"no {x!r:>{10}} 'y'" "tail") from None
        return x ** 2 if x else lambda: yield_from
'''


SMALL = Recipe(max_characters=3_000, max_probe_characters=2_400, probe_documents=30)


def texts(source: str) -> dict[str, list[str]]:
    return {name: [source[a:b] for a, b in spans] for name, spans in label(source).items()}


def test_every_concept_is_found_where_it_stands() -> None:
    found = texts(SOURCE)
    assert found["comment"] == ["# why", "# inside"]
    assert found["number"] == ["3.5e-2", "0x1F", "2"]
    assert found["definition"] == ["Thing", "méthode"]
    assert found["operator"] == ["=", ">=", "**"]
    assert found["keyword"][:6] == ["import", "as", "from", "import", "class", "async"]
    assert set(found) == set(CONCEPTS)


def test_a_formatted_string_is_one_string_on_every_python() -> None:
    assert texts(SOURCE)["string"] == [
        '"""Doc — with a dash."""',
        "f\"no {x!r:>{10}} 'y'\"",
        '"tail"',
    ]
    assert texts('x = f"{f"{1}"}"\n' if _nests() else 'x = f"{1}"\n')["number"] == []


def _nests() -> bool:
    try:
        ast.parse('f"{f"{1}"}"')
    except SyntaxError:
        return False
    return True


def test_an_import_is_its_whole_logical_line_and_raise_from_is_none() -> None:
    found = texts(SOURCE)["import"]
    assert found[0].startswith("import os.path as p")
    assert found[1] == "from typing import (\n    Any,  # inside\n    Final,\n)"
    assert len(found) == 2


@pytest.mark.parametrize("source", ["x = (1,\n", "'''open\n", "\tif x:\n  y\n z\n"])
def test_source_that_does_not_tokenize_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="does not tokenize"):
        label(source)


def test_stripping_comments_leaves_the_same_program() -> None:
    source = "# top\nx = 1  # one\n\n# alone\ndef f():\n    # in\n    return '# no'\n# end"
    stripped = without_comments(Document(id="a", text=source, labels=label(source)))
    assert stripped == "x = 1\n\ndef f():\n    return '# no'\n"
    assert ast.dump(ast.parse(stripped)) == ast.dump(ast.parse(source))


@pytest.fixture(scope="module")
def split() -> tuple[list[Document], list[Document]]:
    return standard_library(SMALL)


def test_probe_documents_are_short_and_never_trained_on(
    split: tuple[list[Document], list[Document]],
) -> None:
    training, probe = split
    assert {d.id for d in training}.isdisjoint(d.id for d in probe)
    assert max(len(d.text) for d in probe) <= 2_400
    assert not any("test" in d.id.split("/") for d in [*training, *probe])


def test_the_split_is_the_same_every_time(split: tuple[list[Document], list[Document]]) -> None:
    again = standard_library(SMALL)
    assert again == split


def test_documents_survive_the_upload_form(split: tuple[list[Document], list[Document]]) -> None:
    probe = split[1]
    assert parse_jsonl(to_jsonl(probe)) == probe


def test_stripped_library_files_still_parse_alike(
    split: tuple[list[Document], list[Document]],
) -> None:
    for document in split[1][:20]:
        stripped = without_comments(document)
        assert ast.dump(ast.parse(stripped)) == ast.dump(ast.parse(document.text)), document.id
        assert not label(stripped)["comment"]
