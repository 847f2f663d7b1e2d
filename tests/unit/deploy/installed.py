"""What an image installs, from pyproject.toml and what the requirements bring along."""

import re
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
OURS = frozenset({"app", "workers", "migrations"})


def project() -> dict[str, Any]:
    """The `project` table of pyproject.toml."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return dict(document["project"])


@cache
def closure(extras: frozenset[str]) -> frozenset[str]:
    """Names of the distributions that installing the project with these extras brings."""
    table = project()
    open_requirements = [Requirement(text) for text in table["dependencies"]]
    for extra in extras:
        open_requirements += map(Requirement, table["optional-dependencies"][extra])
    found: set[tuple[str, frozenset[str]]] = set()
    while open_requirements:
        requirement = open_requirements.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in found:
            continue
        try:
            needs = distribution(requirement.name).requires or []
        except PackageNotFoundError:  # its marker was for another platform's sake
            continue
        found.add(key)
        for need in map(Requirement, needs):
            contexts = [{"extra": extra} for extra in ("", *requirement.extras)]
            if need.marker is None or any(need.marker.evaluate(context) for context in contexts):
                open_requirements.append(need)
    return frozenset(name for name, _ in found)


@cache
def importable(extras: frozenset[str]) -> frozenset[str]:
    """Top-level packages that can be imported where only these extras are installed."""
    names = closure(extras)
    return OURS | {
        package
        for package, distributions in packages_distributions().items()
        if any(canonicalize_name(name) in names for name in distributions)
    }


def pip_extras(dockerfile: str) -> list[frozenset[str]]:
    """The extras of each `pip install ".[…]"` of a Dockerfile."""
    lines = re.findall(r'pip install [^\n]*?"\.\[([a-z0-9,]+)\]"', dockerfile)
    return [frozenset(line.split(",")) for line in lines]
