"""The product's words and the colour that each has on every dashboard."""

from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

VERDICTS = {
    "stable": "green",
    "drifted": "red",
    "inconclusive": "yellow",
    "insufficient": "#8e8e8e",
    "untrusted": "purple",
    "invalid": "dark-orange",
}
GATES = {"pass": "green", "fail": "red", "inconclusive": "yellow", "pending": "blue"}
GATE_NUMBERS = {"pass": 1, "pending": 2, "inconclusive": 3, "fail": 4}
"""Prometheus knows no words, so that a timeline of gates is drawn from these."""
STATES = {
    "succeeded": "green",
    "failed": "red",
    "cancelled": "#8e8e8e",
    "running": "blue",
    "queued": "light-blue",
}
DIAGNOSES = {
    "rescaled": "yellow",
    "rotated": "blue",
    "relocated": "light-blue",
    "lost": "red",
    "dictionary_stale": "purple",
    "unexplained": "orange",
}


def coloured(words: dict[str, str]) -> ValueMap:
    """A mapping that shows each word in its colour."""
    return ValueMap(
        options={
            word: ValueMappingResult(text=word, color=colour, index=position)
            for position, (word, colour) in enumerate(words.items())
        }
    )


def numbered(numbers: dict[str, int], words: dict[str, str]) -> ValueMap:
    """A mapping that shows each number as its word, in the word's colour."""
    return ValueMap(
        options={
            str(number): ValueMappingResult(text=word, color=words[word], index=number)
            for word, number in numbers.items()
        }
    )


def yes_no(yes: str, no: str = "no", *, bad: str = "red", good: str = "green") -> ValueMap:
    """A mapping that shows 1 and true, 0 and false in words."""
    return ValueMap(
        options={
            **{value: ValueMappingResult(text=yes, color=bad) for value in ("1", "true")},
            **{value: ValueMappingResult(text=no, color=good) for value in ("0", "false")},
        }
    )
