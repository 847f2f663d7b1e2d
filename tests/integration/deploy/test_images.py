"""The images install what their processes import, and no more."""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.tools import find_tool, tool
from tests.unit.deploy.installed import ROOT, closure, importable, pip_extras, project

DOCKERFILES = {
    "api": (ROOT / "deploy" / "Dockerfile.api").read_text(),
    "worker": (ROOT / "deploy" / "Dockerfile.worker").read_text(),
}
API = frozenset({"s3", "otel", "charts"})
WORKER = frozenset({"worker", "s3", "otel"})
IMAGES = pytest.mark.parametrize("name", DOCKERFILES)


def final_stage(dockerfile: str) -> str:
    return "FROM" + dockerfile.rpartition("\nFROM")[2]


@IMAGES
def test_hadolint_finds_nothing(name: str) -> None:
    program = find_tool(str(Path(sys.executable).parent / "hadolint")) or tool("hadolint")

    result = subprocess.run(
        [program, "--no-color", ROOT / "deploy" / f"Dockerfile.{name}"],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (result.returncode, result.stdout) == (0, "")


@IMAGES
def test_the_base_is_pinned_to_a_patch_release_that_the_project_supports(name: str) -> None:
    found = re.search(r"^ARG PYTHON=(\d+)\.(\d+)\.\d+-slim-\w+$", DOCKERFILES[name], re.MULTILINE)

    assert found, "ARG PYTHON must name a patch release and a Debian release"
    assert f">={found[1]}.{found[2]}" == project()["requires-python"]
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILES[name], re.MULTILINE)) == {"python:${PYTHON}"}


@IMAGES
def test_it_runs_as_nobody_special_and_carries_no_build_tools(name: str) -> None:
    stage = final_stage(DOCKERFILES[name])

    assert re.findall(r"^USER (.+)$", stage, re.MULTILINE) == ["10001:10001"]
    assert stage.index("USER") < stage.index("ENTRYPOINT")
    assert "pip install" not in stage
    assert re.findall(r"^COPY (.+)$", stage, re.MULTILINE) == [
        "--from=build /opt/featuredrift /opt/featuredrift"
    ]


@IMAGES
def test_every_installation_is_pinned(name: str) -> None:
    installs = re.findall(r"pip install ([^\n]*)", DOCKERFILES[name])

    assert installs
    assert all(line.startswith("--constraint constraints.txt ") for line in installs)


def test_the_extras_exist_and_torch_is_the_version_of_the_project() -> None:
    assert pip_extras(DOCKERFILES["api"]) == [API]
    assert pip_extras(DOCKERFILES["worker"]) == [WORKER]
    extras = project()["optional-dependencies"]
    assert set(extras) >= API | WORKER
    wanted = next(need for need in extras["worker"] if need.startswith("torch=="))
    versions = set(re.findall(r"torch==[0-9.]+", DOCKERFILES["worker"]))
    assert versions == {wanted}
    assert f"{wanted}\n" in (ROOT / "constraints.txt").read_text()


def test_the_api_image_has_neither_torch_nor_numpy() -> None:
    names = closure(API)

    assert {"fastapi", "celery", "s3fs"} <= names
    assert not {"torch", "numpy", "transformers", "sae-lens", "psutil"} & names
    assert {"torch", "numpy", "sae-lens", "psutil"} <= closure(WORKER)


ASKED_FOR = {
    "app/client/comparison.py": {"pandas"},
    "app/imports/catalog.py": {"yaml"},
    "app/imports/readers/columnar.py": {"pyarrow"},
}
"""What a module imports when a caller asks for it, and says what to install where it is missing."""


def imports(path: Path) -> set[str]:
    """Top-level packages that a module imports anywhere, but for types only."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
        pending += (
            child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)
        )
    return found - sys.stdlib_module_names


@pytest.mark.parametrize(
    ("folder", "elsewhere", "extras"),
    [
        # `featuredrift up` and the demo run on one machine, not in an image.
        ("app", "embedded", API),
        ("migrations", "check.py", API),
        ("workers", "demo", WORKER),
    ],
)
def test_what_is_imported_is_installed(folder: str, elsewhere: str, extras: frozenset[str]) -> None:
    there = importable(extras)
    modules = [
        path
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.relative_to(ROOT / folder).parts[0] != elsewhere
    ]

    missing = {
        str(path.relative_to(ROOT)): sorted(lacking)
        for path in modules
        if (lacking := imports(path) - there - ASKED_FOR.get(str(path.relative_to(ROOT)), set()))
    }

    assert len(modules) > 3
    assert missing == {}


_IMPORT_ALL = """
import importlib, pkgutil, sys

absent = set(sys.argv[1].split(","))

class Absent:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r} in the image", name=name)

sys.meta_path.insert(0, Absent)
import app
for module in pkgutil.walk_packages(app.__path__, "app."):
    if not module.name.startswith("app.embedded") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from app.main import create_app
create_app().openapi()
# Loaded only once something is published.
from app.evaluations.broker import make_celery
from app.settings import Settings
make_celery(Settings(REDIS_URL="redis://nowhere")).connection_for_write().transport
print(*sorted({"torch", "numpy", "psutil", "workers"} & set(sys.modules)))
"""


def test_all_of_the_api_image_starts_with_what_it_installs() -> None:
    absent = set(packages_distributions()) - importable(API)
    assert {"torch", "numpy", "psutil"} <= absent

    result = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, ",".join(sorted(absent))],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )

    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.strip() == ""


def test_the_build_context_holds_what_the_images_copy_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for dockerfile in DOCKERFILES.values()
        for line in re.findall(r"^COPY (?!--)(.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    }

    assert rules[0] == "*"
    assert allowed == copied
    assert all((ROOT / source).exists() for source in copied)
