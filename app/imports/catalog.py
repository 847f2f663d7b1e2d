"""SAELens's own directory of releases: which dictionary lies where, and its id on Neuronpedia.

It is a YAML file in the package, read here as data; SAELens itself is not loaded.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from app.imports.errors import refuse

FILE = "pretrained_saes.yaml"


@dataclass(frozen=True)
class Listed:
    """One dictionary of the directory.

    Attributes:
        conversion: how SAELens reads what is not in its own format; None for what is.
    """

    release: str
    sae_id: str
    repository: str
    folder: str
    model: str
    neuronpedia: str | None
    conversion: str | None = None


@dataclass(frozen=True)
class Catalog:
    """All releases; none where SAELens is not installed.

    Attributes:
        releases: release → id → dictionary.
        by_neuronpedia: `model/source` → dictionaries.
    """

    releases: dict[str, dict[str, Listed]]
    by_neuronpedia: dict[str, list[Listed]]

    def find(self, release: str, sae_id: str) -> Listed | None:
        """A dictionary; None for a repository of the hub that the directory does not list.

        Raises:
            ImportRefusedError: there is no such release, or no such id in it.
        """
        saes = self.releases.get(release)
        if saes is None:
            if release.count("/") == 1 or not self.releases:
                return None
            near = get_close_matches(release, self.releases, n=3, cutoff=0.5)
            refuse(
                f"release {release!r}",
                "SAELens lists no such release"
                + (f"; did you mean {', '.join(near)}?" if near else ".")
                + " A repository of the hub itself is named owner/name",
            )
        if sae_id not in saes:
            near = get_close_matches(sae_id, saes, n=5, cutoff=0.4) or list(saes)[:5]
            refuse(
                f"release {release!r}",
                f"has no dictionary {sae_id!r}; of its {len(saes)}, the nearest are "
                f"{', '.join(near)}",
            )
        return saes[sae_id]


@cache
def catalog() -> Catalog:
    """The directory of the installed SAELens, or an empty one."""
    found = find_spec("sae_lens")
    places = [Path(place) / FILE for place in (found and found.submodule_search_locations) or ()]
    path = next((place for place in places if place.is_file()), None)
    return Catalog({}, {}) if path is None else _read(path)


def _read(path: Path) -> Catalog:
    import yaml

    with path.open(encoding="utf-8") as file:
        # The same rules; libyaml's is faster, where PyYAML was built with it.
        data = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # nosec B506
    releases: dict[str, dict[str, Listed]] = {}
    by_neuronpedia: dict[str, list[Listed]] = {}
    for release, value in data.items():
        for sae in value["saes"]:
            listed = Listed(
                release,
                str(sae["id"]),
                value["repo_id"],
                str(sae["path"]),
                value["model"],
                sae.get("neuronpedia"),
                value.get("conversion_func"),
            )
            releases.setdefault(release, {})[listed.sae_id] = listed
            if listed.neuronpedia:
                by_neuronpedia.setdefault(listed.neuronpedia, []).append(listed)
    return Catalog(releases, by_neuronpedia)
