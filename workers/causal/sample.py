"""The sample of sequences, decided by the corpus and a seed alone."""

import hashlib
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from workers.capture.tokenization import TokenizedCorpus
from workers.errors import EvaluationError


def sample_sequences(tokens: TokenizedCorpus, budget: int, seed: int) -> NDArray[np.int64]:
    """Whole sequences in a fixed pseudo-random order, until the budget is reached.

    Every document gives one sequence before any gives a second: documents are the unit of
    inference. Sequences of a single token predict nothing and are left out.

    Args:
        budget: tokens; the last sequence may exceed it by less than its own length.

    Returns:
        Int64 [n] sequence indices in the order of the sample.

    Raises:
        EvaluationError: no sequence has two tokens.
    """
    usable = np.flatnonzero(tokens.lengths > 1)
    if len(usable) == 0:
        raise EvaluationError("corpus_empty", "no sequence of the corpus has two tokens")
    key = {int(s): _hash(f"{seed}:{s}") for s in usable}
    by_hash = sorted(key, key=lambda s: key[s])
    taken = np.zeros(tokens.documents, dtype=np.int64)
    turn: dict[int, int] = {}
    for sequence in by_hash:
        document = int(tokens.document[sequence])
        turn[sequence] = int(taken[document])
        taken[document] += 1
    order = np.array(sorted(by_hash, key=lambda s: (turn[s], key[s])), dtype=np.int64)
    reached = np.cumsum(tokens.lengths[order])
    return order[: int(np.searchsorted(reached, budget)) + 1]


def measurable(tokens: TokenizedCorpus, sequence: int) -> NDArray[np.bool_]:
    """[L] tokens of text, followed in their sequence by another token of text."""
    first, stop = int(tokens.offsets[sequence]), int(tokens.offsets[sequence + 1])
    text = ~tokens.special[first:stop]
    result = np.zeros(stop - first, dtype=np.bool_)
    result[:-1] = text[:-1] & text[1:]
    return result


def random_units(name: str, count: int, width: int, seed: int) -> NDArray[np.float32]:
    """[count, width] directions drawn uniformly, the same for every checkpoint of this width."""
    drawn = np.random.default_rng([seed, crc32(name.encode()), 1]).standard_normal((count, width))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def matched(
    name: str, sequence: int, candidates: NDArray[np.int64], count: int, seed: int
) -> NDArray[np.int64]:
    """Up to `count` of the candidate positions, without repetition, in random order."""
    rng = np.random.default_rng([seed, crc32(name.encode()), 2, sequence])
    return rng.permutation(candidates)[:count]


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
