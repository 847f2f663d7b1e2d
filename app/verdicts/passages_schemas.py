"""Where in the corpus a feature changed, as it is answered."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from app.core.schemas import Output


class PassageUnit(Output):
    """One token (or word, where tokenizers differ) of a passage."""

    text: str
    baseline: float
    candidate: float


class PassageOut(Output):
    """A window of one document around the place that was chosen."""

    kind: Literal["changed", "strongest"] = Field(
        description="Where the activation changed most, or where it was strongest on the baseline"
    )
    document: str = Field(description="The document's id in the corpus")
    start: int
    end: int
    peak: int = Field(description="Position of the chosen place within `units`")
    units: list[PassageUnit]


_PASSAGES: dict[str, Any] = {
    "feature": "phone-number",
    "passages": [
        {
            "kind": "changed",
            "document": "d1",
            "start": 8,
            "end": 19,
            "peak": 1,
            "units": [
                {"text": "at ", "baseline": 0.0, "candidate": 0.0},
                {"text": "555-0100", "baseline": 4.2, "candidate": 0.3},
            ],
        }
    ],
}


class FeaturePassages(Output):
    """Passages of one feature: illustrations, chosen for being extreme, and no evidence."""

    feature: str
    passages: list[PassageOut]


class PassagesOut(Output):
    """What an evaluation kept to look at."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_PASSAGES]}]})

    items: list[FeaturePassages]
