"""The example of a report in the OpenAPI document: one stable feature."""

from typing import Any

from app.monitors.policy import DriftPolicy

_ID = "019ab7d2-5c00-7000-8000-000000000003"
_DIGEST = "7c1f6c0f1d1c6d0a4f7a0e1e0b5d3b0c9f8a7e6d5c4b3a29181716151413121f"
_SENTENCE = (
    "Pass: the one feature is shown to be stable in checkpoint '2026-11-22' against '2026-11-01'."
)
_ESTIMATE: dict[str, Any] = {
    "estimand": "identity_sparse",
    "meaning": "share of its tokens that the two sides do not share (1 − Jaccard)",
    "scale": "plain",
    "effect": 0.04,
    "lower": 0.02,
    "upper": 0.06,
    "interval_missing": None,
    "se": 0.01,
    "df": 96.0,
    "margin": 0.2,
    "margin_source": "policy",
    "margin_meaning": "the monitor's policy",
    "p_drifted": 1.0,
    "p_stable": 2e-9,
    "page_lower": 0.0,
    "page_upper": 0.09,
    "finding": "within",
}
_FEATURE: dict[str, Any] = {
    "name": "phone",
    "kind": "sae_latent",
    "definition": "latent 17 of dictionary layer-2",
    "definition_digest": _DIGEST,
    "concept": "phone",
    "description": None,
    "verdict": "stable",
    "change": None,
    "changes": [],
    "reason": "All 1 effects lie within their margins.",
    "estimand": "identity_sparse",
    "estimates": [_ESTIMATE],
    "p_drifted": 1.0,
    "p_stable": 2e-9,
    "q_drifted": 1.0,
    "q_stable": 2e-9,
    "sign_test_p": 0.7,
    "behaviour": {
        "firing_ratio_baseline": 0.011,
        "firing_ratio_candidate": 0.011,
        "concept_auroc_baseline": 0.97,
        "concept_auroc_candidate": 0.97,
        "active_documents": 120,
        "documents": 141,
        "tokens": 323102,
        "drift_score": 0.02,
        "token_level": False,
        "earns_keep": "yes",
        "causal_verdict": None,
    },
    "controls": [
        {"control": "numerics", "outcome": "held", "detail": "Null updates leave it in place."}
    ],
    "baselines": None,
    "causal": None,
    "robustness": [],
    "diagnosis": None,
    "repair": None,
    "trend": None,
    "page": {"alpha": 0.0031, "critical": 4.4},
    "paged": False,
    "slow_drift": False,
    "step": None,
    "passages": [
        {
            "kind": "strongest",
            "document": "d1",
            "start": 8,
            "end": 19,
            "peak": 1,
            "units": [
                {"text": "at ", "baseline": 0.0, "candidate": 0.0},
                {"text": "555-0100", "baseline": 4.2, "candidate": 4.1},
            ],
        }
    ],
    "passages_missing": None,
    "history": [],
    "what_breaks_it": [],
    "monitoring": [],
}
EXAMPLE: dict[str, Any] = {
    "schema_version": "1",
    "subject": {
        "evaluation": _ID,
        "model": "support-bot",
        "monitor": "support-contact-data",
        "checkpoint": "2026-11-22",
        "baseline": "2026-11-01",
        "previous": None,
        "corpus": "support-probes",
        "feature_set": "contact-data",
        "feature_set_version": 1,
        "dictionary": None,
        "state": "succeeded",
        "created_at": "2026-11-22T09:31:00Z",
        "started_at": "2026-11-22T09:31:01Z",
        "finished_at": "2026-11-22T09:31:40Z",
    },
    "headline": {"outcome": "pass", "sentence": _SENTENCE, "reasons": []},
    "answers": {
        "what_changed": ["0 of 1 feature that could be judged have drifted from '2026-11-01'."],
        "what_broke": ["Nothing was found broken."],
        "what_to_trust": ["1 feature is shown to be stable within its margins: 'phone'."],
        "what_needs_intervention": ["Nothing at this checkpoint."],
    },
    "controls": [
        {
            "control": "no_op",
            "done": "The same weights are loaded and captured again: all values must be equal.",
            "outcome": "held",
            "detail": "The baseline's weights, captured again, gave the same bits.",
            "failed_for": [],
            "figures": {},
        }
    ],
    "comparisons": [
        {
            "comparison": "baseline",
            "checkpoint": "2026-11-01",
            "features": 1,
            "judged": 1,
            "counts": {"stable": 1},
            "changes": {},
            "drifted_ratio": 0.0,
            "drifted_lower": 0.0,
            "drifted_upper": 0.79,
            "paged": 0,
            "slow_drift": 0,
            "tokens": 323102,
            "special_tokens": 141,
            "outlier_tokens": 0,
            "invalid_reason": None,
            "notes": [],
        }
    ],
    "dictionaries": [
        {
            "role": "candidate",
            "dictionary": "layer-2",
            "fvu": 0.14,
            "l0": 16.0,
            "dead_ratio": 0.01,
        }
    ],
    "drifted": [],
    "stable": ["phone"],
    "unjudged": [],
    "features": [_FEATURE],
    "others": [],
    "left_out": 0,
    "repair": None,
    "interventions": [],
    "provenance": {
        "schema_version": "1",
        "featuredrift_version": "0.1.0",
        "inputs_digest": _DIGEST,
        "sides": [
            {
                "role": "candidate",
                "checkpoint": "2026-11-22",
                "weights_digest": _DIGEST,
                "config_digest": _DIGEST,
                "tokenizer_digest": _DIGEST,
                "snapshot_key": _DIGEST,
            }
        ],
        "snapshots": {"candidate": _DIGEST},
        "corpus_digest": _DIGEST,
        "corpus_documents": 141,
        "corpus_units": 141,
        "feature_set_digest": _DIGEST,
        "features_digest": _DIGEST,
        "dictionaries": {"layer-2": _DIGEST},
        "numerics": {"dtype": "float32", "device": "cpu"},
        "libraries": {"torch": "2.13.0"},
        "sequence_length": 512,
        "batch_tokens": 8192,
        "seed": 0,
        "policy": DriftPolicy().model_dump(mode="json"),
        "page_share": None,
        "reproduce": [f"featuredrift report {_ID} --format html --out report.html"],
    },
}
