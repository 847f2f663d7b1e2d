"""What a causal measurement is made with; all of it stands in the measurement's identity."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class CausalSettings:
    """Settings of a measurement.

    Raises:
        ValueError: a value is out of range, naming it.
    """

    tokens: int = 16384
    """Tokens of the corpus that are read, in whole sequences."""
    random_directions: int = 4
    """Random directions per feature; only two or more tell how far such directions differ."""
    strength: float = 1.0
    """Steering adds this many times the feature's mean contribution where it is on."""
    seed: int = 0
    """Of the sample, of the random directions and of the matched inactive tokens."""
    batch_tokens: int = 8192
    """Tokens of one forward pass, over all of its rows."""
    steering_documents: int = 32
    """Documents that are steered."""

    def __post_init__(self) -> None:
        least = {
            "tokens": 1,
            "random_directions": 1,
            "batch_tokens": 1,
            "steering_documents": 1,
            "seed": 0,
        }
        for name, minimum in least.items():
            if (value := getattr(self, name)) < minimum:
                raise ValueError(f"{name} is {value}; give at least {minimum}")
        if not 0 < self.strength < float("inf"):
            raise ValueError(f"strength is {self.strength}; give a finite number above 0")

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return asdict(self)
