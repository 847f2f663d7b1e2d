"""Reports without a database: from the OpenAPI example, with whatever a test needs in it."""

from typing import Any

from app.reports.examples import EXAMPLE
from app.reports.model import Feature, Report
from app.reports.parts import EstimateLine, Passage
from app.reports.words import ESTIMANDS, scale_of

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; DROP TABLE models; --",
    "</style></head><body onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    "[click](https://evil.example) ![x](https://evil.example/x.png)",
    "| a | b |\n# heading\n- item\n```\ncode\n```",
    "@everyone see #1, GH-1, www.evil.example and https://evil.example/?a=1",
    "\u202egnirts\u202c \u2066isolated\u2069 \x00\x1b[31m",
    "1. first",
    "<!-- --> ]]> &lt;b&gt; &#60;i&#62;",
)


def report(**changes: Any) -> Report:
    """The example, with top-level parts changed."""
    return Report.model_validate({**EXAMPLE, **changes})


def feature(**changes: Any) -> Feature:
    """The example's feature, changed."""
    return Feature.model_validate({**EXAMPLE["features"][0], **changes})


def with_features(features: list[Feature], **changes: Any) -> Report:
    """A report on these features."""
    names = {
        "drifted": [f.name for f in features if f.verdict == "drifted"],
        "stable": [f.name for f in features if f.verdict == "stable"],
        "unjudged": [f.name for f in features if f.verdict not in ("drifted", "stable")],
    }
    return report(features=[f.model_dump() for f in features], **names, **changes)


def estimate(estimand: str = "identity_sparse", **changes: Any) -> EstimateLine:
    """An estimate, drifted by default."""
    values = {
        **EXAMPLE["features"][0]["estimates"][0],
        "estimand": estimand,
        "meaning": ESTIMANDS[estimand],
        "scale": scale_of(estimand),
        "effect": 0.41,
        "lower": 0.35,
        "upper": 0.47,
        "finding": "beyond",
    }
    return EstimateLine.model_validate(values | changes)


def passage(text: str = "token", *, kind: str = "changed", units: int = 25) -> Passage:
    """A passage all of whose tokens are shaded on both sides."""
    return Passage.model_validate(
        {
            "kind": kind,
            "document": f"document of {text}",
            "start": 0,
            "end": units * len(text),
            "peak": units // 2,
            "units": [
                {"text": f"{text} ", "baseline": -1.234 * (i % 5 + 1), "candidate": 2.345 + i / 3}
                for i in range(units)
            ],
        }
    )


def drifted(name: str, **changes: Any) -> Feature:
    """A drifted feature with every kind of evidence that there is."""
    sentence = (
        "After a rotation of blocks.1.hook_resid_post, fitted without labels, it is the same."
    )
    identity = EXAMPLE["subject"]["evaluation"]
    line = {
        "evaluation": identity,
        "checkpoint": "2026-11-15",
        "baseline": "2026-11-01",
        "finished_at": "2026-11-15T09:31:40Z",
        "verdict": "stable",
        "change": None,
        "estimand": "identity_sparse",
        "effect": 0.05,
        "lower": 0.02,
        "upper": 0.08,
        "margin": 0.2,
        "drift_score": 0.1,
        "paged": False,
        "slow_drift": False,
        "same_definition": True,
    }
    sparse = ("identity_sparse", "strength", "rate", "magnitude", "concept", "robustness")
    interval = {"lower": 0.9, "upper": 0.95}
    difference = {"difference": 0.02, "difference_lower": -0.01, "difference_upper": 0.05}
    read_out = {"baseline": "token lookup", "auroc": 0.92, **interval, **difference}
    controls = ("numerics", "randomised_model", "random_features", "permuted_labels")
    values: dict[str, Any] = {
        "name": name,
        "verdict": "drifted",
        "change": "identity",
        "changes": ["identity", "rate"],
        "reason": "1 − J is 0.41 (95% interval 0.35 to 0.47), beyond the margin 0.2.",
        "estimates": [estimate(one).model_dump() for one in sparse],
        "controls": [{"control": one, "outcome": "held", "detail": sentence} for one in controls],
        "baselines": {
            "concept": "phone",
            "earns_keep": "yes",
            "reason": "Better than the token lookup, and not shown to be worse than a probe.",
            "auroc": 0.94,
            **interval,
            "margin": 0.02,
            "tokens": 33000,
            "lines": [read_out, read_out, read_out],
        },
        "causal": {
            "verdict": "causal",
            "reason": "Removing it moves the next token by 0.449 nats, a random direction by 0.1.",
            "effect": 0.15,
            "lower": 0.1,
            "upper": 0.2,
            "ratio": 1.5,
            "ratio_lower": 1.2,
            "ratio_upper": 1.9,
            "change": "The effect beyond random directions went from 0.0208 to 0.153 nats.",
            "changed": True,
            "steering_cosine": 0.9,
            "steering_lower": 0.8,
            "steering_upper": 0.95,
            "steering": "Steering moves the logits in directions that agree.",
        },
        "robustness": [
            {"perturbation": one, "pairs": 80, "baseline": 0.9, "candidate": 0.4}
            for one in ("all", "case", "typos")
        ],
        "diagnosis": {
            "label": "rotated",
            "meaning": "In another direction.",
            "reason": sentence,
            "no_repair": None,
        },
        "repair": {
            "repair": identity,
            "old": "direction of 768 numbers at blocks.1.hook_resid_post",
            "new": "direction of 768 numbers at blocks.1.hook_resid_post",
            "reason": sentence,
            "documents": 80,
            "held_out": [estimate(one).model_dump() for one in sparse[:4]],
        },
        "trend": {
            "alarm": False,
            "estimand": "identity_sparse",
            "level": 0.04,
            "limit": 0.1,
            "checkpoints": 6,
        },
        "paged": True,
        "step": {
            "verdict": "drifted",
            "change": "identity",
            "estimand": "identity_sparse",
            "effect": 0.4,
            "lower": 0.3,
            "upper": 0.5,
            "margin": 0.2,
        },
        "passages": [passage().model_dump() for _ in range(4)]
        + [passage(kind="strongest").model_dump() for _ in range(2)],
        "history": [
            {
                **line,
                "evaluation": f"019ab7d2-5c00-7000-8000-0000000001{i:02}",
                "checkpoint": f"2026-11-{i + 2:02}",
                "finished_at": f"2026-11-{i + 2:02}T09:31:40Z",
            }
            for i in reversed(range(12))
        ],
        "what_breaks_it": ["This update: identity, rate.", f"Diagnosed as rotated: {sentence}"],
        "monitoring": [
            {"about": "watch", "what": "Accept the repair, then watch it.", "why": sentence}
        ],
    }
    return feature(**(values | changes))
