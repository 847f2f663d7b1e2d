"""How much of everything is simulated."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Replicates; the shapes of the simulated world are the same in all sizes."""

    name: str
    sets: int
    """Null comparisons of each condition."""
    features: int
    """Features of one comparison."""
    documents: tuple[int, ...]
    firing: tuple[float, ...]
    coverage_features: int
    """Features in one cell of the coverage table."""
    power_features: int
    """Changed features in one cell of the power table."""
    monitors: int
    """Lines of 50 successive null checkpoints."""
    page_features: int
    plants: int
    """Comparisons with planted changes, for each diagnosis and each control."""
    peer_features: int
    """Features of each case that the peers see."""


SMALL = Size(
    name="small",
    sets=8,
    features=60,
    documents=(50, 200),
    firing=(0.01, 0.1),
    coverage_features=400,
    power_features=40,
    monitors=1,
    page_features=100,
    plants=2,
    peer_features=4,
)
MIDDLE = Size(
    name="middle",
    sets=40,
    features=100,
    documents=(50, 200, 1000),
    firing=(0.001, 0.01, 0.1, 0.5),
    coverage_features=1000,
    power_features=100,
    monitors=4,
    page_features=300,
    plants=5,
    peer_features=12,
)
FULL = Size(
    name="full",
    sets=500,
    features=100,
    documents=(50, 200, 1000),
    firing=(0.001, 0.01, 0.1, 0.5),
    coverage_features=4000,
    power_features=400,
    monitors=20,
    page_features=1000,
    plants=20,
    peer_features=30,
)
