"""What the features of a report are made from, beside their own rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.monitors.policy import DriftPolicy
from app.registry.tables import Feature
from app.repairs.tables import Repair
from app.reports.parts import Passage
from app.reports.repository import Past
from app.verdicts.tables import Verdict


@dataclass(frozen=True)
class Material:
    """What the features of one report are made from, beside their rows.

    Attributes:
        registered: by name; empty for a whole dictionary.
        steps: verdicts of the comparison with the previous checkpoint, by name.
        past: earlier verdicts by name, newest first, this evaluation's left out.
        passages: by name.
        no_passages: why there are none where there are none.
    """

    policy: DriftPolicy
    dictionary: str | None = None
    registered: Mapping[str, Feature] = field(default_factory=dict)
    steps: Mapping[str, Verdict] = field(default_factory=dict)
    past: Mapping[str, Sequence[Past]] = field(default_factory=dict)
    passages: Mapping[str, Sequence[Passage]] = field(default_factory=dict)
    no_passages: str = ""
    repair: Repair | None = None
