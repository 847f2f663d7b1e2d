"""Which evaluations are shown as examples, and what each has to show."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """One example.

    Attributes:
        name: of its files.
        checkpoint: of the demo's line.
        says: what it shows, in one sentence.
        outcome: of the gate policy; `make examples` refuses another.
        verdict: that at least one of its features has.
        features: names of the demo's features, with the concept that they claim; None for the
            demo's own monitor.
        policy: of a monitor of its own, beside the demo's.
    """

    name: str
    checkpoint: str
    says: str
    outcome: str
    verdict: str
    features: dict[str, str | None] | None = None
    policy: dict[str, Any] | None = None


KINDS = (
    Kind(
        "drifted",
        "stripped",
        "A fine-tuning on code without comments has changed what most features read.",
        outcome="fail",
        verdict="drifted",
    ),
    Kind(
        "stable",
        "benign",
        "A little more training on the same data leaves all features in place that can be trusted.",
        outcome="pass",
        verdict="stable",
    ),
    Kind(
        "untrusted",
        "benign",
        "Features that were named in haste: two claim a concept that they do not read, and no "
        "number of theirs counts.",
        outcome="inconclusive",
        verdict="untrusted",
        features={
            "comment-probe": "comment",
            "string-probe": "string",
            "number-latent": "comment",
            "busiest-latent": "import",
        },
        policy={"activation_tokens": 98_304},
    ),
    Kind(
        "invalid",
        "benign",
        "A dictionary that describes its site too badly for the policy: its latents read nothing.",
        outcome="inconclusive",
        verdict="invalid",
        features={
            "number-latent": "number",
            "definition-latent": "definition",
            "import-latent": "import",
        },
        policy={"fvu_max": 0.05, "activation_tokens": 0},
    ),
)
