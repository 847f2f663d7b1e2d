"""Documents that nearly repeat another one, found without comparing all with all.

A document is the set of its runs of five words; two are near-copies where these sets have at least
80% of their union in common (Jaccard), as in Lee et al. 2022, "Deduplicating Training Data Makes
Language Models Better". Which pairs are worth comparing is found by MinHash signatures cut into
bands (Broder 1997; Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4), and
then each is compared exactly: a signature can miss a pair and never invents one.
"""

import re
import unicodedata
from array import array
from collections.abc import Iterator, Sequence

from rensa import RMinHash

SIMILARITY = 0.8
"""Near-copies share at least this part of the runs of words that either has."""

_RUN = 5
_BANDS, _ROWS = 25, 5
"""Of pairs at the limit, 1 - (1 - 0.8^5)^25 = 99.995% have a band in common."""

_KEPT = 4
"""Documents that a band remembers: a corpus of a thousand variations of one template that are no
near-copies would otherwise be compared all with all."""

_TRIED = 8
"""Documents that one is compared with at most, those with the most similar signature first."""

# Scripts without spaces between words would make a sentence one word.
_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|\w+|[^\w\s]")

# Zero-width characters, soft hyphens, direction marks and the byte order mark.
_UNSEEN = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")


def near_copies(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs of texts that nearly repeat each other, enough of them to connect all that do.

    Upper and lower case, white space, characters that are not shown and the way in which Unicode
    writes a character make no difference. Texts of up to five words are near-copies only where they
    are equal otherwise.

    Args:
        texts: best each once; of equal ones many pairs are yielded.

    Yields:
        Positions (earlier, later), in order of the later one; the same for the same texts.
    """
    # Twice over the texts, as holding the runs of all takes many times what the texts take.
    signatures = [_signature(_runs(text)) for text in texts]
    likely = _likely(signatures)
    family: list[int] = []
    for at, text in enumerate(texts):
        joined: set[int] = set()
        runs = _runs(text) if at in likely else set()
        for other in likely.get(at, ()):
            if family[other] in joined:
                continue
            theirs = _runs(texts[other])
            if len(runs & theirs) >= SIMILARITY * len(runs | theirs):
                joined.add(family[other])
                yield other, at
        family.append(min(joined, default=at))


def _likely(signatures: Sequence["array[int]"]) -> dict[int, list[int]]:
    """Position → earlier ones worth a comparison, the most similar signatures first.

    One band after the other: the buckets of all would take ten times the signatures' memory.
    """
    likeness: dict[int, dict[int, int]] = {}
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = {}
        for at, signature in enumerate(signatures):
            bucket = buckets.setdefault(signature[band * _ROWS : (band + 1) * _ROWS].tobytes(), [])
            if bucket:
                known = likeness.setdefault(at, {})
                for other in bucket:
                    if other not in known:
                        known[other] = _agreement(signatures[other], signature)
                if len(known) > _TRIED:
                    likeness[at] = {other: known[other] for other in _best(known)}
            if len(bucket) < _KEPT:
                bucket.append(at)
    return {at: _best(known) for at, known in likeness.items()}


def _best(likeness: dict[int, int]) -> list[int]:
    return sorted(likeness, key=lambda other: (-likeness[other], other))[:_TRIED]


def _runs(text: str) -> set[str]:
    words = _WORD.findall(_UNSEEN.sub("", unicodedata.normalize("NFKC", text).casefold()))
    return {" ".join(words[at : at + _RUN]) for at in range(max(len(words) - _RUN, 0) + 1)}


def _signature(runs: set[str]) -> "array[int]":
    sketch = RMinHash(num_perm=_BANDS * _ROWS, seed=0)
    sketch.update(runs)
    return array("I", sketch.digest())


def _agreement(one: "array[int]", other: "array[int]") -> int:
    return sum(a == b for a, b in zip(one, other, strict=True))
