"""What the registry tells of a corpus without reading it again."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.registry.documents import Document
from app.registry.units import units_of_inference


@dataclass(frozen=True)
class CorpusFacts:
    """What the registry keeps of a corpus beside its artifact.

    Attributes:
        documents: how many.
        groups: how many `units_of_inference`.
        characters: code points of all texts.
        concepts: concept → {"documents": with at least one span, "spans": in all}.
        perturbations: perturbation → {"documents": variants of that kind, "left_out": originals
            without one}.
    """

    documents: int
    groups: int
    characters: int
    concepts: dict[str, dict[str, int]]
    perturbations: dict[str, dict[str, int]] = field(default_factory=dict)


def describe(documents: Sequence[Document]) -> CorpusFacts:
    """Count documents, units of inference, characters, labels and variants."""
    count = characters = 0
    concepts: dict[str, dict[str, int]] = {}
    for document in documents:
        count += 1
        characters += len(document.text)
        for concept, spans in document.labels.items():
            counts = concepts.setdefault(concept, {"documents": 0, "spans": 0})
            counts["documents"] += bool(spans)
            counts["spans"] += len(spans)
    units = len(set(units_of_inference(documents)))
    return CorpusFacts(
        documents=count,
        groups=units,
        characters=characters,
        concepts=dict(sorted(concepts.items())),
        perturbations=_count_perturbations(documents),
    )


def _count_perturbations(documents: Sequence[Document]) -> dict[str, dict[str, int]]:
    originals = sum(document.variant_of is None for document in documents)
    variants: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for document in documents:
        if document.variant_of is not None and document.perturbation is not None:
            counts[document.perturbation] = counts.get(document.perturbation, 0) + 1
            variants.setdefault(document.perturbation, set()).add(document.variant_of)
    return {
        name: {"documents": counts[name], "left_out": originals - len(variants[name])}
        for name in sorted(counts)
    }
