"""`featuredrift features suggest`: latents for the concepts of a labelled corpus."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app.cli.console import (
    complain,
    err,
    plain,
    print_facts,
    print_json,
    print_table,
    say,
)
from app.cli.console import (
    out as terminal,
)
from app.cli.remote import Exit, Json, Url, complete_checkpoints, complete_models, connected
from app.suggestions import definitions, run_suggestion


def suggest(
    model: Annotated[str, typer.Argument(help="A model's name.", autocompletion=complete_models)],
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="The checkpoint whose activations are read.", autocompletion=complete_checkpoints
        ),
    ],
    dictionary: Annotated[str, typer.Option(help="A registered dictionary.")],
    corpus: Annotated[str, typer.Option(help="A registered corpus with labels.")],
    concept: Annotated[
        list[str] | None,
        typer.Option(help="A label of the corpus; may be repeated. Default: all."),
    ] = None,
    per_concept: Annotated[
        int, typer.Option(min=1, max=20, help="Latents of each concept that are scored.")
    ] = 3,
    tokens: Annotated[
        int,
        typer.Option(
            min=1000, help="Tokens that are read at most; documents are cut before left out."
        ),
    ] = 131_072,
    seed: Annotated[int, typer.Option(min=0, help="Of the halves; say it with the result.")] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where the model runs.")
    ] = "auto",
    documents: Annotated[
        Path | None,
        typer.Option(
            help="The corpus as JSON Lines, where its store is not within reach.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the recommended ones, to be sent to /v1/feature-sets."),
    ] = None,
    register: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Publish the recommended ones as a feature set."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Propose latents for labelled concepts: chosen on half the documents, scored on the rest."""
    with connected(url) as client:
        request: dict[str, Any] = {
            "checkpoint": client.checkpoints.get(model, checkpoint).model_dump(mode="json"),
            "dictionary": client.dictionaries.get(dictionary).model_dump(mode="json"),
            "corpus": client.corpora.get(corpus).model_dump(mode="json"),
        }
    request |= {
        "concepts": _concepts(corpus, request["corpus"]["concepts"], concept),
        "documents": None if documents is None else str(documents.resolve()),
        "device": device,
        "tokens": tokens,
        "per_concept": per_concept,
        "seed": seed,
    }
    found = _run(request)
    names = {"model": model, "checkpoint": checkpoint, "dictionary": dictionary, "corpus": corpus}
    features = definitions(found, dictionary)
    found = {**names, **found, "features": features}
    found["registered"] = _hand_over(features, names, out, register, url)
    if as_json:
        print_json(found)
    else:
        _show(found, out)
    if not features and (out or register):
        complain("nothing is recommended, so that nothing was written or registered")
        raise typer.Exit(Exit.REFUSED)


def _concepts(corpus: str, known: dict[str, Any], wanted: list[str] | None) -> list[str]:
    if not known:
        complain(
            f"corpus {plain(corpus)!r} has no labels; `featuredrift corpora import` reads label "
            "spans"
        )
        raise typer.Exit(Exit.REFUSED)
    for one in wanted or ():
        if one not in known:
            complain(
                f"corpus {plain(corpus)!r} has no label {plain(one)!r}; it has "
                f"{', '.join(plain(name) for name in sorted(known))}"
            )
            raise typer.Exit(Exit.REFUSED)
    return list(dict.fromkeys(wanted)) if wanted else sorted(known)


def _run(request: dict[str, Any]) -> dict[str, Any]:
    """Run it, with a bar where somebody looks."""
    columns = (
        TextColumn("{task.description}", markup=False),
        *(BarColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()),
    )
    try:
        with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
            task = bar.add_task("starting", total=None)
            last = ""

            def step(name: str, done: int, total: int) -> None:
                nonlocal last
                if name != last:
                    bar.reset(task, description=name, total=None)
                    if not err.is_terminal:
                        say(name)
                last = name
                bar.update(task, completed=done, total=total if total > 1 else None)

            return run_suggestion(request, step)
    except KeyboardInterrupt:
        say("stopped; nothing was written or registered")
        raise typer.Exit(Exit.INTERRUPTED) from None


def _hand_over(
    features: list[dict[str, Any]],
    names: dict[str, str],
    out: Path | None,
    register: str | None,
    url: str | None,
) -> dict[str, Any] | None:
    """Write and publish what is recommended."""
    if not features:
        return None
    description = (
        f"Suggested from dictionary {names['dictionary']} and corpus {names['corpus']} on "
        f"checkpoint {names['checkpoint']} of {names['model']}"
    )
    if out is not None:
        body = {
            "name": register or f"{names['dictionary'][:118]}-suggested",
            "description": description,
            "features": features,
        }
        try:
            out.write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            complain(f"{out} cannot be written: {error.strerror}")
            raise typer.Exit(Exit.REFUSED) from None
    if register is None:
        return None
    with connected(url) as client:
        made = client.feature_sets.publish(register, features, description=description)
    return {"feature_set": made.feature_set, "version": made.version, "digest": made.digest}


def _show(found: dict[str, Any], out: Path | None) -> None:
    method = found["method"]
    fvu = method["fvu"]
    print_facts(
        {
            "checkpoint": f"{found['model']} {found['checkpoint']}",
            "dictionary": f"{found['dictionary']} at {method['site']}, {method['latents']:,} "
            f"latents, {method['latents_on']:,} of them on somewhere"
            + ("" if fvu is None else f", FVU {fvu:.2f}"),
            "corpus": f"{found['corpus']}, {method['tokens']:,} of {method['corpus_tokens']:,} "
            "tokens",
            "chosen on": f"{method['units_chosen_on']} units of documents (half A)",
            "scored on": f"{method['units_scored_on']} others (half B)",
            "intervals": f"hold together at {method['confidence_together']:.0%} for all "
            f"{method['candidates']} candidates",
            "seed": method["seed"],
        }
    )
    if fvu is not None and fvu > 0.5:
        say(
            f"the dictionary leaves {fvu:.0%} of the variance at its site unexplained; was it "
            "trained on this model?"
        )
    for one in found["concepts"]:
        _show_concept(one)
    registered = found["registered"]
    if registered:
        print_facts({"registered": f"{registered['feature_set']} version {registered['version']}"})
    if out is not None and found["features"]:
        print_facts({"written": out})


def _show_concept(one: dict[str, Any]) -> None:
    terminal.print()
    print_facts(
        {"concept": f"{one['concept']}, in {one['units_with_concept']} of {one['units']} units"}
    )
    if one["reason"]:
        print_facts({"no proposal": one["reason"]})
    if not one["told"]:
        return
    rows = [
        (
            f"latent {proposal['latent']}",
            _interval(proposal["auroc"]),
            f"{proposal['chosen_on_auroc']:.3f}",
            f"{proposal['firing']['with_concept']:.1%} / "
            f"{proposal['firing']['without_concept']:.1%}",
            "recommended" if proposal["recommended"] else "not recommended",
        )
        for proposal in one["proposals"]
    ]
    rows += [(_BESIDE[name], _interval(value), "", "", "") for name, value in _beside(one)]
    chance = one["best_by_chance"]
    rows.append(
        (
            "best by chance",
            f"95% below {chance['B']['p95']:.3f}",
            f"{chance['A']['p95']:.3f}",
            "",
            "",
        )
    )
    print_table(("", "AUROC on half B", "on half A", "on with / without", ""), rows)
    for proposal in one["proposals"]:
        latent = proposal["latent"]
        for line in (*proposal["reasons"], *proposal["remarks"]):
            print_facts({f"  latent {latent}": line})
        if proposal["twins"]:
            twins = ", ".join(_twin(twin) for twin in proposal["twins"])
            print_facts({f"  latent {latent}": f"Says nearly the same as {twins}."})
        if proposal["also_for"]:
            print_facts(
                {f"  latent {latent}": f"Also stands for {', '.join(proposal['also_for'])}."}
            )


_BESIDE = {
    "token_lookup": "token lookup",
    "bag_of_words": "bag of words",
    "difference_of_means": "difference of means",
    "probe": "logistic probe",
}


def _beside(one: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, one["baselines"][name]) for name in _BESIDE]


def _interval(found: dict[str, Any]) -> str:
    return f"{found['value']:.3f} ({found['lower']:.3f} to {found['upper']:.3f})"


def _twin(twin: dict[str, Any]) -> str:
    cosine = "" if twin["cosine"] is None else f"cosine {twin['cosine']:.2f}, "
    return f"{twin['latent']} ({cosine}correlation {twin['correlation']:.2f})"
