"""What pages are made of goes out with the package, and nothing else is served."""

import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

import app.web
from app.web.rendering import templates
from app.web.static_files import static_files, static_path

FOLDER = Path(app.web.__file__).parent


def test_a_wheel_has_all_templates_and_static_files() -> None:
    project = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["app.web"]
    files = [path for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    others = [path for path in files if path.suffix != ".py"]

    assert len(others) > 15
    for path in others:
        inside = str(path.relative_to(FOLDER))
        assert path.parent.parent == FOLDER, inside
        assert any(fnmatch(inside, pattern) for pattern in patterns), inside


@pytest.mark.parametrize("name", templates().list_templates())
def test_every_template_is_sound_and_has_neither_script_nor_style_in_it(name: str) -> None:
    source, _, _ = templates().loader.get_source(templates(), name)  # type: ignore[union-attr]

    templates().get_template(name)
    assert " style=" not in source
    assert "<style" not in source
    assert "<script>" not in source
    assert "|safe" not in source
    assert not any(f" on{event}=" in source for event in ("click", "load", "error", "submit"))


def test_static_files_are_what_lies_there_and_their_addresses_name_their_content() -> None:
    assert {"style.css", "live.js", "icon.svg"} <= set(static_files())
    assert len({static_path(name) for name in static_files()}) == len(static_files())
    with pytest.raises(KeyError):
        static_path("../signing.py")
