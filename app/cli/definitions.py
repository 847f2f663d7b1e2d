"""`featuredrift dictionaries list|show|register` and `feature-sets list|show|publish`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.console import complain, print_facts, print_json, print_table
from app.cli.remote import Exit, Json, Limit, Url, connected, first
from app.cli.sources import absolute
from app.imports.readers.jsonl import read_json
from app.registry.schemas.dictionaries import DictionaryOut
from app.registry.schemas.feature_sets import FeatureSetVersionOut

_MOST = 64 << 20

_Description = Annotated[str | None, typer.Option(help="For people.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    dictionaries = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    dictionaries.command("list")(list_dictionaries)
    dictionaries.command("show")(show_dictionary)
    dictionaries.command("register")(register_dictionary)
    app.add_typer(dictionaries, name="dictionaries", help="SAEs and transcoders.")
    sets = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    sets.command("list")(list_sets)
    sets.command("show")(show_set)
    sets.command("publish")(publish)
    app.add_typer(sets, name="feature-sets", help="Versions of what is watched.")


def list_dictionaries(limit: Limit = 50, url: Url = None, as_json: Json = False) -> None:
    """List dictionaries."""
    with connected(url) as client:
        found = first(client.dictionaries.list(), limit)
    if as_json:
        print_json([dictionary.model_dump(mode="json") for dictionary in found])
        return
    rows = [(row.name, row.site, row.architecture, row.d_sae, _source(row)) for row in found]
    print_table(("dictionary", "site", "architecture", "latents", "source"), rows)


def show_dictionary(
    dictionary: Annotated[str, typer.Argument(help="A dictionary's name.")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show a dictionary."""
    with connected(url) as client:
        found = client.dictionaries.get(dictionary)
    _tell_dictionary(found, as_json)


def register_dictionary(
    name: Annotated[str, typer.Argument(help="The new dictionary's name.")],
    source: Annotated[
        str | None, typer.Argument(help="A directory or URI.", show_default=False)
    ] = None,
    release: Annotated[
        str | None, typer.Option(help="In its place: a SAELens release.", show_default=False)
    ] = None,
    sae_id: Annotated[
        str | None, typer.Option(help="The id in the release.", show_default=False)
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(help="Where it reads; default: as its files say.", show_default=False),
    ] = None,
    description: _Description = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Register an SAE or transcoder in SAELens format."""
    with connected(url) as client:
        found = client.dictionaries.create(
            name,
            None if source is None else absolute(source),
            release=release,
            sae_id=sae_id,
            site=site,
            description=description,
        )
    _tell_dictionary(found, as_json)


def list_sets(limit: Limit = 50, url: Url = None, as_json: Json = False) -> None:
    """List feature sets."""
    with connected(url) as client:
        found = first(client.feature_sets.list(), limit)
    if as_json:
        print_json([feature_set.model_dump(mode="json") for feature_set in found])
        return
    rows = [(row.name, row.latest_version, row.created_at, row.description) for row in found]
    print_table(("feature set", "latest", "created", "description"), rows)


def show_set(
    feature_set: Annotated[str, typer.Argument(help="A feature set's name.")],
    version: Annotated[
        int | None, typer.Option(help="Default: the latest.", min=1, show_default=False)
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show a version of a feature set."""
    with connected(url) as client:
        number = version or client.feature_sets.get(feature_set).latest_version
        found = client.feature_sets.version(feature_set, number)
    _tell_version(found, as_json)


def publish(
    name: Annotated[str, typer.Argument(help="The set's name.")],
    file: Annotated[
        Path, typer.Argument(help='A JSON file: a list of features, or {"features": […]}.')
    ],
    description: _Description = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Publish a version of a feature set; the same features again are the same version."""
    features = _read(file)
    with connected(url) as client:
        found = client.feature_sets.publish(name, features, description=description)
    _tell_version(found, as_json)


def _read(path: Path) -> list[dict[str, Any]]:
    found = read_json(path, _MOST, "publish it in several sets")
    features = found.get("features") if isinstance(found, dict) else found
    if not isinstance(features, list) or not all(isinstance(one, dict) for one in features):
        complain(f'{path} holds no list of features; give [{{"kind": …, "name": …}}, …]')
        raise typer.Exit(Exit.REFUSED)
    return features


def _source(dictionary: DictionaryOut) -> str:
    return dictionary.source or f"{dictionary.release} {dictionary.sae_id}"


def _tell_dictionary(found: DictionaryOut, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    print_facts(
        {
            "dictionary": found.name,
            "description": found.description,
            "site": found.site,
            "source": _source(found),
            "architecture": found.architecture,
            "latents": found.d_sae,
            "digest": found.digest,
            "registered": found.created_at,
        }
    )


def _tell_version(found: FeatureSetVersionOut, as_json: bool) -> None:
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    facts = {"feature set": found.feature_set, "version": found.version, "digest": found.digest}
    print_facts({**facts, "features": found.features_count})
    print_table(
        ("feature", "kind", "concept", "id"),
        [(row.name, row.kind, row.concept, row.id) for row in found.features],
    )
