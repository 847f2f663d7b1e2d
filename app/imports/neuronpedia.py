"""Lists of features as Neuronpedia gives them.

Understood are the answer of its `POST /api/list/get` (an object with `neurons`, each with
`modelId`, `layer`, `index`, its `description` in the list, and `neuron.explanations`), what is sent
to `/api/list/new-with-features` (an object with `features`), a bare list of such objects, and a
list of ids or addresses, `model/source/index`. A source such as `6-res-jb` is a dictionary of layer
6; a bare layer such as `6` stands for the neurons of that layer's MLP.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.imports.catalog import Catalog
from app.imports.errors import refuse
from app.imports.names import name_of
from app.imports.readers.jsonl import read_json
from app.registry.schemas.dictionaries import DictionaryOut

MAX_FILE_BYTES = 256 << 20
_DESCRIPTION = 2000
_PAGE = 300
"""Of a longer list, the site answers with so many features alone."""


@dataclass(frozen=True)
class Entry:
    """One feature of a list.

    Attributes:
        position: in the list, from 1.
        source: `model/source`, such as `gpt2-small/6-res-jb`.
    """

    position: int
    model: str
    layer: str
    index: int
    description: str | None

    @property
    def source(self) -> str:
        """Model and source, as one id."""
        return f"{self.model}/{self.layer}"

    @property
    def id(self) -> str:
        """The feature's id on Neuronpedia."""
        return f"{self.source}/{self.index}"


@dataclass(frozen=True)
class FeatureList:
    """A list; entries that stand there twice are given once."""

    name: str | None
    entries: list[Entry]
    notes: list[str]


@dataclass(frozen=True)
class Mapped:
    """Definitions of what could be mapped, and what could not be.

    Attributes:
        missing: source → its entries, for which no dictionary is registered.
    """

    features: list[dict[str, Any]]
    missing: dict[str, list[Entry]]


def read_list(path: Path | str) -> FeatureList:
    """The features of a list.

    Raises:
        ImportRefusedError: naming the entry and what is wrong with it.
    """
    path = Path(path)
    value = read_json(path, MAX_FILE_BYTES, "export the list alone")
    name = value.get("name") if isinstance(value, dict) else None
    key = next((k for k in ("neurons", "features") if isinstance(value, dict) and k in value), None)
    listed = value[key] if key is not None else value
    if not isinstance(listed, list):
        refuse(path, "holds no list of features: neither 'neurons' nor 'features', nor a list")
    if not listed:
        refuse(path, "the list is empty")
    notes, entries = [], dict[str, Entry]()
    for position, item in enumerate(listed, start=1):
        entry = _entry(f"{path} entry {position}", position, item)
        if entry.id in entries:
            notes.append(
                f"{entry.id} stands there twice (entries {entries[entry.id].position} and "
                f"{position}); it is taken once"
            )
            continue
        entries[entry.id] = entry
    if key == "neurons" and len(listed) == _PAGE:
        notes.append(
            f"it has exactly {_PAGE} features, the most that Neuronpedia gives at once; "
            "the list itself may be longer"
        )
    return FeatureList(name if isinstance(name, str) else None, list(entries.values()), notes)


def map_list(
    entries: Iterable[Entry],
    dictionaries: Iterable[DictionaryOut],
    catalog: Catalog,
    given: Mapping[str, str] | None = None,
    concepts: Mapping[str, str] | None = None,
) -> Mapped:
    """Definitions on registered dictionaries.

    Args:
        dictionaries: what is registered.
        catalog: says which release and id a source of Neuronpedia is.
        given: source → dictionary, where a person says so.
        concepts: id, or the name of the feature → the concept that it claims to stand for.

    Raises:
        ImportRefusedError: a given dictionary is not registered, two fit, or a name is not there.
    """
    registered = {dictionary.name: dictionary for dictionary in dictionaries}
    entries = list(entries)
    sources = {entry.source for entry in entries}
    _check_given(given or {}, sources, registered)
    chosen = {
        source: (given or {}).get(source) or _by_release(source, registered, catalog)
        for source in sources
    }
    models = {entry.model for entry in entries}
    features, missing, names = list[dict[str, Any]](), dict[str, list[Entry]](), dict[str, str]()
    wanted, used = dict(concepts or {}), set[str]()
    for entry in entries:
        dictionary = chosen[entry.source]
        short = f"{entry.layer}.{entry.index}"
        name = name_of(short if len(models) == 1 else f"{entry.model}.{short}")
        if name in names:
            refuse(entry.id, f"would be named {name!r}, as {names[name]} is; import them apart")
        names[name] = entry.id
        definition: dict[str, Any] = {"name": name, "description": _described(entry)}
        if entry.layer.isdecimal():
            site = f"blocks.{int(entry.layer)}.mlp.hook_post"
            definition |= {"kind": "neuron", "site": site, "index": entry.index}
        elif dictionary is None:
            missing.setdefault(entry.source, []).append(entry)
            continue
        else:
            size = registered[dictionary].d_sae
            if size is not None and entry.index >= size:
                refuse(
                    entry.id,
                    f"the dictionary {dictionary!r} has {size} latents (0 to {size - 1}); it is "
                    "not the one of this source",
                )
            definition |= {"kind": "sae_latent", "dictionary": dictionary, "index": entry.index}
        for key in (name, entry.id):
            if key in wanted:
                definition["concept"] = wanted[key]
                used.add(key)
        features.append(definition)
    if unused := sorted(wanted.keys() - used):
        refuse(unused[0], "no feature that is imported has this name or id; --dry-run lists them")
    return Mapped(features, missing)


def advice(source: str, catalog: Catalog) -> str:
    """What to do about a source whose dictionary is not registered."""
    listed = catalog.by_neuronpedia.get(source, [])
    if listed:
        first = listed[0]
        return f"featuredrift features import saelens NAME {first.release} {first.sae_id}"
    return f"register its dictionary, and say --dictionary {source}=NAME"


def _check_given(
    given: Mapping[str, str], sources: set[str], registered: Mapping[str, DictionaryOut]
) -> None:
    for source, name in given.items():
        if source not in sources:
            refuse(source, f"the list has no such source; it has {', '.join(sorted(sources))}")
        if name not in registered:
            refuse(source, f"there is no dictionary {name!r}; `dictionaries list` shows all")


def _by_release(
    source: str, registered: Mapping[str, DictionaryOut], catalog: Catalog
) -> str | None:
    releases = {(one.release, one.sae_id) for one in catalog.by_neuronpedia.get(source, [])}
    found = [d.name for d in registered.values() if (d.release, d.sae_id) in releases]
    if len(found) > 1:
        refuse(
            source,
            f"the dictionaries {', '.join(sorted(found))} all are this source; say which by "
            f"--dictionary {source}=NAME",
        )
    return found[0] if found else None


def _described(entry: Entry) -> str:
    text = f"{entry.description} (Neuronpedia {entry.id})" if entry.description else None
    return (text or f"Neuronpedia {entry.id}")[:_DESCRIPTION]


def _entry(place: str, position: int, item: Any) -> Entry:
    if isinstance(item, str):
        model, layer, last = _id(place, item)
        return Entry(position, model, layer, _index(place, last), None)
    if not isinstance(item, dict):
        refuse(place, f"is {item!r}, neither an object nor an id such as gpt2-small/6-res-jb/650")
    found = item.get("neuron")
    neuron: dict[str, Any] = found if isinstance(found, dict) else {}
    values = [_first(item, neuron, *keys) for keys in (("modelId", "model"), ("layer", "source"))]
    for key, value in zip(("modelId", "layer"), values, strict=True):
        if not isinstance(value, str) or not value.strip() or "/" in value:
            refuse(place, f"{key} is {value!r}; expected such as 'gpt2-small' and '6-res-jb'")
    index = _index(place, _first(item, neuron, "index"))
    own = item.get("description")
    explained = [own, *(_explanations(neuron) or _explanations(item))]
    description = next((t.strip() for t in explained if isinstance(t, str) and t.strip()), None)
    return Entry(position, values[0], values[1], index, description)


def _first(item: Mapping[str, Any], neuron: Mapping[str, Any], *keys: str) -> Any:
    found = (
        source[key] for source in (item, neuron) for key in keys if source.get(key) is not None
    )
    return next(found, None)


def _explanations(value: Mapping[str, Any]) -> list[Any]:
    found = value.get("explanations")
    return [one.get("description") for one in found or () if isinstance(one, dict)]


def _id(place: str, text: str) -> tuple[str, str, str]:
    path = urlsplit(text).path if "://" in text else text
    parts = path.strip("/").split("/")
    if len(parts) != 3 or not all(re.fullmatch(r"[\w.-]+", part) for part in parts):
        refuse(place, f"{text!r} is no id of a feature; expected such as gpt2-small/6-res-jb/650")
    return parts[0], parts[1], parts[2]


def _index(place: str, value: Any) -> int:
    """Neuronpedia writes indices as text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 13:
        value = int(value)
    if type(value) is not int or value < 0:
        refuse(place, f"index is {value!r}; it must be a number from 0 on")
    return value
