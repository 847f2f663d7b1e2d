"""What a control found: for the whole evaluation, and for each feature."""

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FeatureOutcome:
    """What a control found for one feature."""

    passed: bool | None
    """False: the feature is not to be trusted; None: not applicable, or it cannot be told."""
    detail: str
    """One sentence for a person, with the figures."""
    figures: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain JSON values; a figure that is no finite number is null."""
        return {
            "passed": self.passed,
            "detail": self.detail,
            "figures": json_figures(self.figures),
        }


@dataclass(frozen=True)
class ControlOutcome:
    """What a control found."""

    control: str
    """Its name, as in the table `controls`."""
    passed: bool | None
    """False where it failed for any feature; None where it could be told for none."""
    detail: str
    """One sentence for a person."""
    figures: dict[str, Any] = field(default_factory=dict)
    features: dict[str, FeatureOutcome] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain JSON values; a figure that is no finite number is null."""
        return {
            "control": self.control,
            "passed": self.passed,
            "detail": self.detail,
            "figures": json_figures(self.figures),
            "features": {name: found.to_json() for name, found in self.features.items()},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ControlOutcome":
        """Read what `to_json` gave.

        Raises:
            KeyError, TypeError: it is no such outcome.
        """
        return cls(
            value["control"],
            value["passed"],
            value["detail"],
            value["figures"],
            {name: FeatureOutcome(**found) for name, found in value["features"].items()},
        )


def overall(features: dict[str, FeatureOutcome]) -> bool | None:
    """Whether a control passed: for every feature that it could judge."""
    judged = [found.passed for found in features.values() if found.passed is not None]
    return all(judged) if judged else None


def json_figures(value: Any) -> Any:
    """The same figures without numpy types, and None for what is not finite."""
    if isinstance(value, dict):
        return {str(key): json_figures(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [json_figures(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def count(number: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun: 1 feature, 2 features."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
