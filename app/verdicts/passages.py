"""Passages of the corpus in which a feature changed most: read from artifacts, cut from texts."""

import json
from collections.abc import Collection, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.core.artifacts import ArtifactStore
from app.core.errors import NotFoundError
from app.evaluations.tables import Evaluation
from app.registry.stored import read_registered
from app.registry.tables import Corpus
from app.verdicts.passages_schemas import FeaturePassages, PassageOut, PassageUnit
from app.verdicts.schemas import Comparison


def corpus_of(session: Session, evaluation: UUID) -> Corpus:
    """The corpus whose documents an evaluation ran on."""
    row = session.get_one(Evaluation, evaluation)
    return session.get_one(Corpus, row.corpus_id)


def read_passages(
    store: ArtifactStore,
    evaluation: UUID,
    corpus: Corpus,
    comparison: Comparison,
    features: Collection[str] = (),
) -> list[FeaturePassages]:
    """Passages of some features, or of all that have any, in the order in which they were kept.

    A unit's text runs to where the next one begins, so that the texts of a passage, one after
    another, read as the document does.

    Raises:
        NotFoundError: the evaluation has kept none (it has not succeeded, or is of an old release).
        DocumentsError: the documents are gone, are others, or cannot be read.
    """
    key = f"evaluations/{evaluation}/{comparison}.passages.json"
    try:
        found: Mapping[str, list[dict[str, Any]]] = json.loads(store.read_bytes(key))
    except FileNotFoundError:
        raise NotFoundError(
            f"Evaluation {evaluation} has no passages of the comparison with the "
            f"{comparison} side: they are kept by evaluations that succeed, and not with all "
            "retention policies for ever."
        ) from None
    chosen = {name: p for name, p in found.items() if not features or name in features}
    wanted = {passage["document"] for passages in chosen.values() for passage in passages}
    documents: Mapping[int, dict[str, Any]] = (
        read_registered(store, corpus, lambda path: _documents(path, wanted)) if wanted else {}
    )
    return [
        FeaturePassages(
            feature=name,
            passages=[_passage(p, documents[p["document"]]) for p in passages],
        )
        for name, passages in chosen.items()
    ]


def _documents(path: Path, wanted: Collection[int]) -> dict[int, dict[str, Any]]:
    """Some documents of the canonical form, one line each; the others are not parsed."""
    with path.open("rb") as file:
        lines = islice(file, max(wanted) + 1)
        return {number: json.loads(line) for number, line in enumerate(lines) if number in wanted}


def _passage(passage: Mapping[str, Any], document: Mapping[str, Any]) -> PassageOut:
    text, units = document["text"], passage["units"]
    starts = [unit[0] for unit in units]
    # Special tokens have no characters; tokens of one character's bytes share their span.
    stops = [max(unit[1], following) for unit, following in zip(units, starts[1:], strict=False)]
    stops.append(max((unit[1] for unit in units), default=0))
    shown, reached = [], min(starts, default=0)
    for unit, stop in zip(units, stops, strict=True):
        start, stop = max(unit[0], reached), max(stop, reached)
        shown.append(PassageUnit(text=text[start:stop], baseline=unit[2], candidate=unit[3]))
        reached = stop
    return PassageOut(
        kind=passage["kind"],
        document=document["id"],
        start=min(starts, default=0),
        end=reached,
        peak=passage["peak"],
        units=shown,
    )
