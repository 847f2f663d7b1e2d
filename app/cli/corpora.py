"""`featuredrift corpora import|list|show`."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from app.cli.console import complain, err, plain, print_facts, print_json, print_table, say
from app.cli.remote import Exit, Json, Limit, Url, any_of, connected, first
from app.client import Client
from app.imports import Columns, Converted, convert_corpus
from app.imports.corpus import Tell
from app.imports.readers import Format
from app.imports.readers.plain_text import Per
from app.registry.perturbations import PERTURBATIONS
from app.registry.schemas.corpora import CorpusOut

_STEP = 0.002
_TIMEOUT = 600.0
_BODY_BYTES = 64 << 20
"""What the API takes as one body by default."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("import")(import_corpus)
    group.command("list")(list_corpora)
    group.command("show")(show)
    app.add_typer(group, name="corpora", help="Probe corpora: what features are measured on.")


def import_corpus(
    name: Annotated[str, typer.Argument(help="The new corpus' name.")],
    path: Annotated[
        Path,
        typer.Argument(
            help="JSON Lines, plain text, CSV, Parquet, or a folder: of texts, of Parquet files, "
            "or as Dataset.save_to_disk writes it."
        ),
    ],
    kind: Annotated[
        Format | None,
        typer.Option("--format", help="Default: as the name ends.", show_default=False),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column of the text. Default: text.")] = None,
    identity: Annotated[
        str | None,
        typer.Option("--id", help="Column of ids. Default: id; without one, line or row numbers."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Column of groups of documents that depend on each other."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Column of label spans. Default: labels.")
    ] = None,
    flag: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN[=CONCEPT]",
            show_default=False,
            help="Column that is true where the whole document has a concept; may be repeated.",
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="COLUMN",
            show_default=False,
            help="Column that names the document's class; each class is a concept.",
        ),
    ] = None,
    per: Annotated[Per, typer.Option(help="What a document of a plain text is.")] = "line",
    split: Annotated[
        str | None, typer.Option(help="Of a saved dataset.", show_default=False)
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Of a CSV file; default: a comma.", show_default=False)
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="At most so many documents, from the first on.", min=1),
    ] = None,
    merge_overlaps: Annotated[
        bool, typer.Option("--merge-overlaps", help="Join overlapping spans of a concept.")
    ] = False,
    perturbation: Annotated[
        list[str] | None,
        typer.Option(
            callback=any_of(PERTURBATIONS),
            show_default=False,
            help=f"Variants to add of each document ({', '.join(PERTURBATIONS)}); may be repeated.",
        ),
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.", show_default=False)] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the corpus to this file too.", show_default=False)
    ] = None,
    through: Annotated[
        Path | None,
        typer.Option(
            show_default=False,
            help="A folder that the API can read: the corpus goes there, and not through the "
            "network. For corpora over 64 MiB.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check all of it, and register nothing.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Register a corpus from a file: it is read row by row, and each fault is named by its line."""
    columns = Columns(
        text=text,
        id=identity,
        group=group,
        labels=labels,
        flags=_flags(flag),
        classes=tuple(classes or ()),
    )
    with (
        _progress(path) as tell,
        convert_corpus(
            path,
            kind=kind,
            columns=columns,
            per=per,
            split=split,
            delimiter=delimiter,
            limit=limit,
            merge_overlaps=merge_overlaps,
            tell=tell,
        ) as converted,
    ):
        if output is not None:
            converted.copy_to(output)
        made = None
        if not dry_run:
            with connected(url, timeout=_TIMEOUT) as client:
                made = _upload(client, converted, name, description, perturbation or [], through)
    if as_json:
        done = made.model_dump(mode="json") if made else None
        print_json({"dry_run": dry_run, "read": converted.facts(), "corpus": done})
        return
    if converted.ignored:
        say(plain(f"not part of a corpus, and left out: {', '.join(converted.ignored)}"))
    if converted.left_out:
        say(plain(f"of another format, and left out: {', '.join(converted.left_out)}"))
    if not converted.concepts:
        say(
            "no document is labelled, so no feature is held against a concept; --labels, --flag or "
            "--class name a column of labels"
        )
    if made is not None:
        _tell(made)
        return
    hidden = dict.fromkeys(("concepts", "ignored_columns", "left_out_files"))
    print_facts({**converted.facts(), **hidden})
    _concepts({name: dict(counts) for name, counts in converted.concepts.items()})
    say("nothing was registered; leave --dry-run out to do so")


def list_corpora(limit: Limit = 50, url: Url = None, as_json: Json = False) -> None:
    """List corpora."""
    with connected(url) as client:
        found = first(client.corpora.list(), limit)
    if as_json:
        print_json([corpus.model_dump(mode="json") for corpus in found])
        return
    rows = [
        (one.name, one.documents, one.groups, sorted(one.concepts), one.created_at) for one in found
    ]
    print_table(("corpus", "documents", "units", "concepts", "registered"), rows)
    if not found:
        say("none yet; `featuredrift corpora import NAME FILE` registers one")


def show(
    corpus: Annotated[str, typer.Argument(help="A corpus' name.")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show a corpus: its size, its labels and its variants."""
    with connected(url) as client:
        found = client.corpora.get(corpus)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _tell(found)


def _upload(
    client: Client,
    converted: Converted,
    name: str,
    description: str | None,
    perturbations: Sequence[Any],
    through: Path | None,
) -> CorpusOut:
    if through is None:
        if converted.size > _BODY_BYTES:
            say(
                f"the corpus has {converted.size >> 20} MiB; where the API takes no more than 64 "
                "(FEATUREDRIFT_MAX_BODY_BYTES), name a folder that it can read by --through"
            )
        return client.corpora.create(
            name,
            lines=converted.lines(),
            description=description,
            perturbations=perturbations,
        )
    try:
        with tempfile.TemporaryDirectory(prefix="corpus-", dir=through) as folder:
            # The API may be another account's.
            Path(folder).chmod(0o755)
            file = Path(folder).resolve() / "documents.jsonl"
            converted.copy_to(file)
            file.chmod(0o644)
            return client.corpora.create(
                name, uri=str(file), description=description, perturbations=perturbations
            )
    except OSError as error:
        complain(plain(f"{through} cannot be written to: {error.strerror or error}"))
        raise typer.Exit(Exit.REFUSED) from None


@contextmanager
def _progress(path: Path) -> Iterator[Tell | None]:
    """A bar with the time left, where somebody looks."""
    if not err.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        *(BarColumn(), TaskProgressColumn(show_speed=True)),
        *(TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(plain(path.name), total=None)
        shown = -1.0

        def tell(done: int, total: int) -> None:
            nonlocal shown
            if total and (done >= total or done - shown >= total * _STEP):
                shown = done
                bar.update(task, completed=done, total=total)

        yield tell


def _flags(values: list[str] | None) -> dict[str, str]:
    flags: dict[str, str] = {}
    for value in values or ():
        column, _, concept = value.partition("=")
        if not column or column in flags:
            raise typer.BadParameter(f"{value!r} names no new column", param_hint="--flag")
        flags[column] = concept or column
    return flags


def _tell(found: CorpusOut) -> None:
    print_facts(
        {
            "corpus": found.name,
            "description": found.description,
            "documents": found.documents,
            "units of inference": found.groups,
            "characters": found.characters,
            "digest": found.digest,
            "registered": found.created_at,
        }
    )
    _concepts(found.concepts)
    if found.perturbations:
        rows = [(n, c["documents"], c["left_out"]) for n, c in found.perturbations.items()]
        print_table(("variants", "documents", "not applicable to"), rows)


def _concepts(concepts: dict[str, Any]) -> None:
    if concepts:
        rows = [(name, counts["documents"], counts["spans"]) for name, counts in concepts.items()]
        print_table(("concept", "documents with it", "spans"), rows)
