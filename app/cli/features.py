"""`featuredrift features …`: features that exist elsewhere, brought into a feature set."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.console import plain, print_facts, print_json, print_table, say, text_of
from app.cli.remote import Exit, Json, Url, connected
from app.cli.suggest import suggest
from app.imports.catalog import catalog
from app.imports.directions import Imported, Scaling, read_directions
from app.imports.neuronpedia import Entry, advice, map_list, read_list
from app.imports.probes import read_probes
from app.imports.publishing import plan
from app.imports.releases import find_release

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
imports = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Set = Annotated[str, typer.Argument(metavar="SET", help="The feature set to publish into.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would be done; with --json, all definitions."),
]
Add = Annotated[
    bool, typer.Option("--add", help="Keep the features of the set's latest version beside these.")
]
Replace = Annotated[
    bool, typer.Option("--replace", help="With --add: let features of the same name be replaced.")
]
Concepts = Annotated[
    list[str] | None,
    typer.Option(
        "--concept",
        metavar="FEATURE=CONCEPT",
        show_default=False,
        help="The corpus label that a feature claims to stand for; may be repeated.",
    ),
]
Site = Annotated[
    str | None,
    typer.Option(
        help="Where they read, such as blocks.3.hook_resid_post; default: as the file says.",
        show_default=False,
    ),
]
_Description = Annotated[
    str | None, typer.Option(help="Of the set, for people.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the group with its commands."""
    imports.command("neuronpedia")(import_neuronpedia)
    imports.command("saelens")(import_saelens)
    imports.command("sklearn")(import_sklearn)
    imports.command("directions")(import_directions)
    group.command("suggest")(suggest)
    group.add_typer(imports, name="import", help="Features and dictionaries from elsewhere.")
    app.add_typer(group, name="features", help="Find features, and bring them in from elsewhere.")


def import_neuronpedia(
    feature_set: Set,
    file: Annotated[Path, typer.Argument(help="A list of Neuronpedia, as JSON.")],
    dictionary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL/SOURCE=NAME",
            show_default=False,
            help="Which registered dictionary a source is, such as gpt2-small/6-res-jb=layer-6; "
            "may be repeated. Default: the one of the same SAELens release.",
        ),
    ] = None,
    concept: Concepts = None,
    skip_unregistered: Annotated[
        bool,
        typer.Option(
            "--skip-unregistered", help="Publish the rest where dictionaries are missing."
        ),
    ] = False,
    add: Add = False,
    replace: Replace = False,
    description: _Description = None,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Publish the features of a Neuronpedia list."""
    found = read_list(file)
    known = catalog()
    with connected(url) as client:
        mapped = map_list(
            found.entries,
            client.dictionaries.list(),
            known,
            _pairs("--dictionary", dictionary),
            _pairs("--concept", concept),
        )
    _tell_missing(mapped.missing, skip_unregistered)
    refused = bool(mapped.missing) and not skip_unregistered
    missing = {
        source: {"features": [entry.id for entry in entries], "do": advice(source, known)}
        for source, entries in mapped.missing.items()
    }
    if refused or not mapped.features:
        if as_json:
            print_json({"published": False, "missing": missing, "notes": found.notes})
        else:
            say("nothing was published")
        raise typer.Exit(Exit.REFUSED)
    _publish(
        feature_set,
        Imported(mapped.features, found.notes),
        (add, replace, dry_run),
        description,
        url,
        as_json,
        {"missing": missing},
    )


def import_directions(
    feature_set: Set,
    file: Annotated[Path, typer.Argument(help="A .safetensors file; each tensor is a direction.")],
    site: Site = None,
    scaling: Annotated[
        Scaling | None,
        typer.Option(
            show_default=False,
            help="unit: values are x·v/‖v‖; as-is: the vectors' lengths count. Default: as the "
            "file says, else unit.",
        ),
    ] = None,
    concept: Concepts = None,
    add: Add = False,
    replace: Replace = False,
    description: _Description = None,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Publish directions, such as steering vectors."""
    found = read_directions(file, site=site, scaling=scaling, concepts=_pairs("--concept", concept))
    _publish(feature_set, found, (add, replace, dry_run), description, url, as_json, {})


def import_sklearn(
    feature_set: Set,
    file: Annotated[
        Path,
        typer.Argument(
            help="A fitted logistic regression's attributes, as .safetensors or JSON; "
            "workers.imports.save_probes writes them."
        ),
    ],
    site: Site = None,
    prefix: Annotated[str, typer.Option(help="Put before each name.")] = "",
    concept: Annotated[
        str | None,
        typer.Option(
            help="The corpus label that a probe of two classes claims to stand for.",
            show_default=False,
        ),
    ] = None,
    class_concepts: Annotated[
        bool,
        typer.Option(
            "--class-concepts", help="Each probe claims to stand for the label of its class' name."
        ),
    ] = False,
    add: Add = False,
    replace: Replace = False,
    description: _Description = None,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Publish the probes of a logistic regression; a pickle is never read."""
    found = read_probes(
        file, site=site, prefix=prefix, concept=concept, class_concepts=class_concepts
    )
    _publish(feature_set, found, (add, replace, dry_run), description, url, as_json, {})


def import_saelens(
    name: Annotated[str, typer.Argument(help="The new dictionary's name.")],
    release: Annotated[
        str, typer.Argument(help="A SAELens release, or a repository of the hub: owner/name.")
    ],
    sae_id: Annotated[
        str, typer.Argument(help="The id in the release, or the folder in the repository.")
    ],
    site: Annotated[
        str | None,
        typer.Option(
            help="Where it reads; default: as its configuration on the hub says.",
            show_default=False,
        ),
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.", show_default=False)] = None,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Register a dictionary of a SAELens release; a worker fetches its weights when due."""
    if site is None:
        say(plain(f"asking the hub what {release} {sae_id} reads"))
    found = find_release(release, sae_id, site)
    facts: dict[str, Any] = {
        "dictionary": name,
        "repository": found.repository,
        "folder": found.folder,
        "site": found.site,
        "architecture": found.architecture,
        "latents": found.d_sae,
        "neuronpedia": found.neuronpedia,
    }
    if not dry_run:
        with connected(url) as client:
            made = client.dictionaries.create(
                name, release=release, sae_id=sae_id, site=found.site, description=description
            )
        facts["registered"] = str(made.created_at)
    if as_json:
        print_json({"dry_run": dry_run, **facts})
    else:
        print_facts(facts)


def _publish(
    feature_set: str,
    found: Imported,
    how: tuple[bool, bool, bool],
    description: str | None,
    url: str | None,
    as_json: bool,
    more: dict[str, Any],
) -> None:
    """Publish, or show what would be; all that was decided on the way is said."""
    add, replace, dry_run = how
    with connected(url) as client:
        planned = plan(client, feature_set, found.features, add=add, replace=replace)
        made = None
        if not dry_run:
            # A description belongs to the set; it is given when the set is made.
            made = client.feature_sets.publish(
                feature_set, planned.features, description=description
            )
    facts = {
        "feature set": feature_set,
        "version": made.version if made else None,
        "features": len(planned.features),
        "added": planned.added,
        "replaced": planned.replaced,
        "as before": planned.same,
        "no longer in it": planned.left_out,
    }
    if as_json:
        print_json(
            {
                "published": made is not None,
                "feature_set": feature_set,
                "version": made.version if made else None,
                "digest": made.digest if made else None,
                "added": planned.added,
                "replaced": planned.replaced,
                "same": planned.same,
                "left_out": planned.left_out,
                "notes": found.notes,
                "features": planned.features if made is None else None,
                **more,
            }
        )
        return
    for note in found.notes:
        say(plain(note))
    print_facts(facts)
    print_table(
        ("feature", "kind", "reads", "concept"),
        [(one["name"], one["kind"], _reads(one), one.get("concept")) for one in planned.features],
    )
    if dry_run:
        say("nothing was published; leave --dry-run out to do so")


def _reads(one: dict[str, Any]) -> str:
    if one["kind"] == "sae_latent":
        return f"{one['dictionary']} {one['index']}"
    if one["kind"] == "neuron":
        return f"{one['site']} {one['index']}"
    return str(one.get("site", ""))


def _tell_missing(missing: dict[str, list[Entry]], skipped: bool) -> None:
    for source, entries in missing.items():
        listed = ", ".join(str(entry.index) for entry in entries[:20])
        more = f" and {len(entries) - 20} more" if len(entries) > 20 else ""
        say(
            text_of(
                f"no registered dictionary is {source}; "
                f"{'left out' if skipped else 'needed'} for {listed}{more}: "
                f"{advice(source, catalog())}"
            )
        )


def _pairs(option: str, values: list[str] | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for value in values or ():
        left, equals, right = value.rpartition("=")
        if not equals or not left or not right:
            raise typer.BadParameter(f"{value!r} must be of the form LEFT=RIGHT", param_hint=option)
        if left in pairs:
            raise typer.BadParameter(f"{left!r} is given twice", param_hint=option)
        pairs[left] = right
    return pairs
