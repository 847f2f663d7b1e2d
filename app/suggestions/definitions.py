"""Definitions of features from what was found."""

from typing import Any

from app.imports.names import name_of

_CONCEPT_LIMIT = 100


def definitions(found: dict[str, Any], dictionary: str) -> list[dict[str, Any]]:
    """The recommended latents as `POST /v1/feature-sets` takes them.

    Args:
        found: as `workers.suggest` answers.
        dictionary: the registered name.
    """
    features: list[dict[str, Any]] = []
    taken: set[str] = set()
    for one in found["concepts"]:
        for proposal in one.get("proposals", ()):
            if not proposal["recommended"]:
                continue
            name = _name(one["concept"], proposal["latent"], taken)
            taken.add(name)
            auroc = proposal["auroc"]
            features.append(
                {
                    "kind": "sae_latent",
                    "name": name,
                    "dictionary": dictionary,
                    "index": proposal["latent"],
                    "concept": one["concept"],
                    "description": f"Suggested: held-out AUROC {auroc['value']:.3f} "
                    f"({auroc['lower']:.3f} to {auroc['upper']:.3f}) on half of the documents",
                }
            )
    return features


def _name(concept: str, latent: int, taken: set[str]) -> str:
    base = name_of(f"{name_of(concept)[:_CONCEPT_LIMIT]}-latent{latent}")
    name, number = base, 2
    # Two concepts may differ in what no name can bear.
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name
