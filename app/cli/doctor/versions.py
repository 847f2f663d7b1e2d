"""Are the packages installed that this release asks for."""

import importlib.metadata
import sys
from collections.abc import Iterator
from importlib.util import find_spec

from packaging.requirements import InvalidRequirement, Requirement

from app.cli.doctor.finding import Finding

PACKAGE = "featuredrift"


def check_versions() -> Iterator[Finding]:
    """Each requirement of the release, and of what it was installed for."""
    try:
        release = importlib.metadata.version(PACKAGE)
        lines = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        advice = "install it: `pip install featuredrift`"
        yield Finding("versions", "fail", f"{PACKAGE} is not installed", advice)
        return
    # Torch alone tells a worker's environment from an API's.
    extras = ("", "worker") if find_spec("torch") else ("",)
    wrong = list(unmet(lines, extras))
    python = ".".join(str(part) for part in sys.version_info[:3])
    if wrong:
        yield Finding(
            "versions",
            "fail",
            f"{PACKAGE} {release} on Python {python}: {'; '.join(wrong)}",
            "reinstall it with the release's constraints.txt: `pip install -c constraints.txt …`",
        )
    else:
        parts = " with the worker's packages" if len(extras) > 1 else ""
        yield Finding("versions", "ok", f"{PACKAGE} {release}{parts} on Python {python}")


def unmet(lines: list[str], extras: tuple[str, ...]) -> Iterator[str]:
    """What is missing or of another version, one phrase each.

    Args:
        lines: requirements as the package's metadata has them.
        extras: those that count; the empty one stands for the package itself.
    """
    for line in lines:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            yield f"{line!r} cannot be read"
            continue
        marker = wanted.marker
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in extras):
            continue
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{wanted.name} is missing ({wanted.specifier or 'any version'})"
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            yield f"{wanted.name} is {version}, not {wanted.specifier}"
