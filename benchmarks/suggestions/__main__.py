"""`python -m benchmarks.suggestions`: false recommendations where the truth is known, as a table.

Worlds are made by numpy alone: documents whose latents lean on the document and on the word, and
concepts that some latent is, or that none is.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.suggestions.worlds import CONCEPT, OF_WORD, PLANTED, WORD, World, noise, planted
from workers.drift.multiplicity import wilson
from workers.suggest.suggest import Options, suggest


@dataclass(frozen=True)
class Case:
    """A kind of world, and which latent of it should be recommended."""

    name: str
    make: Callable[[int], World]
    concept: str
    right: int | None = None


def _whole_documents(seed: int) -> World:
    world = noise(seed)
    carries = np.random.default_rng(seed + 7).random(int(world.cluster.max()) + 1) < 0.5
    return replace(world, labels={CONCEPT: carries[world.cluster]})


def _one_word_more(seed: int) -> World:
    """A latent that is the concept's words alone; of the concept 1% of tokens stray from them."""
    world = noise(seed)
    return world.with_latent(OF_WORD, (world.keys < 8).astype(float))


def _weak(seed: int) -> World:
    world = noise(seed)
    rng = np.random.default_rng(seed + 1)
    context = world.labels[CONCEPT]
    heard = (context & (rng.random(len(context)) < 0.25)) | (rng.random(len(context)) < 0.05)
    return world.with_latent(PLANTED, heard * rng.gamma(4, 1, len(context)))


CASES = (
    Case("noise, the concept in runs of 12 tokens", noise, CONCEPT),
    Case("noise, 1,024 latents", lambda seed: noise(seed, latents=1024), CONCEPT),
    Case("noise, 3 times the documents", lambda seed: noise(seed, documents=360), CONCEPT),
    Case("noise, the concept is of whole documents", _whole_documents, CONCEPT),
    Case("the concept is 8 words, a latent hears 90% of them", planted, WORD),
    Case("the concept is 8 words, a latent is just these", _one_word_more, WORD),
    Case("a latent is the concept at 80% of its tokens", planted, CONCEPT, PLANTED),
    Case("a latent is the concept at 25% of its tokens", _weak, CONCEPT, PLANTED),
)


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(prog="benchmarks.suggestions", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of cases, from 0")
    asked = parser.parse_args()
    seeds = asked.seeds
    print("| world | seeds | wrong recommendations | 95% interval | the right latent found |")
    print("|---|---|---|---|---|")
    for case in CASES if asked.only is None else [CASES[i] for i in asked.only]:
        wrong = right = 0
        for seed in range(seeds):
            found = suggest(case.make(seed).material(), [case.concept], Options(seed=seed))
            latents = {
                proposal["latent"]
                for one in found["concepts"]
                for proposal in one.get("proposals", ())
                if proposal["recommended"]
            }
            wrong += bool(latents - {case.right})
            right += case.right in latents
        lower, upper = wilson(wrong, seeds) or (0.0, 1.0)
        hit = "" if case.right is None else f"{right / seeds:.1%}"
        print(
            f"| {case.name} | {seeds} | {wrong / seeds:.1%} | {lower:.1%} to {upper:.1%} | {hit} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
