"""The demo's features: every kind, most tied to a concept of the corpus.

All choosing and fitting happens on one half of some training documents; the figures quoted beside
the choice come from the other half. Probe documents are left to the service.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import LlamaForCausalLM

from app.registry.definitions import (
    Component,
    Composite,
    Direction,
    LinearProbe,
    Neuron,
    SaeLatent,
)
from workers.demo.activations import collect
from workers.demo.corpus import CONCEPTS
from workers.demo.readouts import Floats, auroc, column_aurocs, fit_direction, fit_probe
from workers.demo.recipe import Recipe
from workers.demo.sample import Sample, halves

Definition = SaeLatent | LinearProbe | Direction | Neuron | Composite

_EARLY_SITE = "blocks.0.hook_resid_post"
_NEURON_SITE = "blocks.1.mlp.hook_post"
# Ranking every column of two sites is for choosing only; this many tokens rank them well enough.
_RANKED_TOKENS = 30_000


@dataclass
class Choice:
    """Features as they are chosen, with their values on the sample.

    Attributes:
        features: definitions, in the order shown.
        worth: AUROC on the held-out half, for every feature tied to a concept.
    """

    data: Sample
    features: list[Definition] = field(default_factory=list)
    worth: dict[str, float] = field(default_factory=dict)
    values: dict[str, Floats] = field(default_factory=dict)

    def add(self, feature: Definition, values: Floats) -> None:
        """Append a feature with its value at every token of the sample, float32 [tokens]."""
        self.features.append(feature)
        self.values[feature.name] = values
        if feature.concept is not None:
            held_out = halves(self.data)[1]
            labels = self.data.labels[feature.concept]
            self.worth[feature.name] = auroc(values[held_out], labels[held_out])


@torch.inference_mode()
def choose_features(
    model: LlamaForCausalLM, sae: Any, data: Sample, recipe: Recipe, dictionary: str
) -> Choice:
    """The demo's feature set.

    Args:
        model: the base.
        sae: its dictionary at `recipe.site`.
        data: labelled tokens of training documents.
        recipe: site and sizes.
        dictionary: the name under which the dictionary is registered.
    """
    x = collect(model, data.rows, recipe.site)
    latents = torch.cat([sae.encode(part) for part in x.split(8192)]).numpy()
    choice = Choice(data)
    _add_latents(choice, latents, dictionary)
    _add_probes(choice, x.numpy(), recipe.site, ("comment", "string", "keyword"))
    early = collect(model, data.rows, _EARLY_SITE).numpy()
    _add_probes(choice, early, _EARLY_SITE, ("comment",), suffix="-early")
    _add_directions(choice, x.numpy(), recipe.site, ("string", "number"))
    neurons = collect(model, data.rows, _NEURON_SITE).numpy()
    _add_neurons(choice, neurons, ("operator", "keyword"))
    _add_composites(choice)
    return choice


def _best_columns(choice: Choice, values: Floats) -> dict[str, list[int]]:
    """Per concept the columns [tokens, columns] by AUROC on the fitting half, best first."""
    fit = slice(0, min(halves(choice.data)[0].stop, _RANKED_TOKENS))
    labels = np.stack([choice.data.labels[concept][fit] for concept in CONCEPTS], axis=1)
    scores = column_aurocs(values[fit], labels)
    return {
        concept: [int(i) for i in np.argsort(row)[::-1]]
        for concept, row in zip(CONCEPTS, scores, strict=True)
    }


def _add_latents(choice: Choice, latents: Floats, dictionary: str) -> None:
    best = _best_columns(choice, latents)
    taken = set()
    for concept in CONCEPTS:
        # Comments are spread over several latents: a composite takes the best three together.
        for rank, index in enumerate(best[concept][: 3 if concept == "comment" else 1], start=1):
            taken.add(index)
            choice.add(
                SaeLatent(
                    name=f"{concept}-latent" + (f"-{rank}" if rank > 1 else ""),
                    concept=concept,
                    dictionary=dictionary,
                    index=index,
                ),
                latents[:, index],
            )
    rates = (latents > 0).mean(axis=0)
    busiest = next(int(i) for i in np.argsort(rates)[::-1] if int(i) not in taken)
    choice.add(
        SaeLatent(
            name="busiest-latent",
            dictionary=dictionary,
            index=busiest,
            description="The most active latent that has no name yet.",
        ),
        latents[:, busiest],
    )


def _add_probes(
    choice: Choice, x: Floats, site: str, concepts: tuple[str, ...], suffix: str = ""
) -> None:
    fit = halves(choice.data)[0]
    for concept in concepts:
        weights, bias = fit_probe(x[fit], choice.data.labels[concept][fit])
        choice.add(
            LinearProbe(
                name=f"{concept}-probe{suffix}",
                concept=concept,
                site=site,
                weights=tuple(weights),
                bias=bias,
            ),
            x @ np.array(weights, dtype=np.float32) + np.float32(bias),
        )


def _add_directions(choice: Choice, x: Floats, site: str, concepts: tuple[str, ...]) -> None:
    fit = halves(choice.data)[0]
    for concept in concepts:
        vector, center = fit_direction(x[fit], choice.data.labels[concept][fit])
        unit = np.array(vector, dtype=np.float32)
        unit /= np.linalg.norm(unit)
        choice.add(
            Direction(
                name=f"{concept}-direction",
                concept=concept,
                site=site,
                vector=tuple(vector),
                center=tuple(center),
            ),
            (x - np.array(center, dtype=np.float32)) @ unit,
        )


def _add_neurons(choice: Choice, neurons: Floats, concepts: tuple[str, ...]) -> None:
    best = _best_columns(choice, neurons)
    for concept in concepts:
        index = best[concept][0]
        choice.add(
            Neuron(name=f"{concept}-neuron", concept=concept, site=_NEURON_SITE, index=index),
            neurons[:, index],
        )


def _add_composites(choice: Choice) -> None:
    """Two distributed features: several latents of one site, and one probe on each of two."""
    latents = ("comment-latent", "comment-latent-2", "comment-latent-3")
    choice.add(
        Composite(
            name="comment-any-latent",
            concept="comment",
            operation="max",
            components=tuple(Component(feature=name) for name in latents),
        ),
        np.max([choice.values[name] for name in latents], axis=0),
    )
    probes = ("comment-probe", "comment-probe-early")
    choice.add(
        Composite(
            name="comment-across-layers",
            concept="comment",
            operation="sum",
            components=tuple(Component(feature=name, weight=0.5) for name in probes),
        ),
        np.sum([0.5 * choice.values[name] for name in probes], axis=0),
    )
