"""The foot of a report: every digest, version and seed, and how to have the same again."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from shlex import quote
from typing import Any

from app.core.digests import canonical_json
from app.evaluations.repository import EvaluationView
from app.monitors.policy import DriftPolicy
from app.registry.tables import Corpus, Dictionary
from app.reports.model import SCHEMA_VERSION, PageShare, Provenance
from app.reports.parts import Side

_NAME = 120
"""Characters of a monitor's name that leave room for the mark of its second."""
_SIDES = ("baseline", "previous", "candidate")

Snapshots = Mapping[str, tuple[str, Mapping[str, Any]]]


def make_provenance(
    view: EvaluationView,
    policy: DriftPolicy,
    corpus: Corpus,
    snapshots: Snapshots,
    *,
    set_digest: str | None,
    registered: Sequence[Dictionary],
    causal: Sequence[str] = (),
) -> Provenance:
    """What went in; of an evaluation that failed early, what is known.

    Args:
        snapshots: role → key and inputs.
        registered: the dictionaries that the features read.
        causal: the features whose causal effect was measured.
    """
    evaluation, share = view.evaluation, view.page_share
    inputs = snapshots.get("baseline", ("", {}))[1]
    numerics = dict(inputs.get("numerics") or {})
    libraries = dict(numerics.pop("libraries", {}))
    measured = inputs.get("dictionaries") or {}
    return Provenance(
        schema_version=SCHEMA_VERSION,
        featuredrift_version=version("featuredrift"),
        inputs_digest=evaluation.inputs_digest,
        sides=tuple(_side(role, view, snapshots) for role in _SIDES if _named(view, role)),
        snapshots={role: key for role, (key, _) in snapshots.items()},
        corpus_digest=corpus.digest,
        corpus_documents=corpus.documents,
        corpus_units=corpus.groups,
        feature_set_digest=set_digest,
        features_digest=inputs.get("features_digest"),
        dictionaries={one.name: measured.get(one.name) or one.digest for one in registered},
        numerics=numerics,
        libraries=dict(sorted(libraries.items())),
        sequence_length=inputs.get("sequence_length"),
        batch_tokens=inputs.get("batch_tokens"),
        seed=policy.controls.seed,
        policy=policy.model_dump(mode="json"),
        page_share=PageShare(
            alpha=share.alpha,
            quarter=share.quarter.isoformat(),
            ordinal=share.ordinal,
            planned=share.planned,
        )
        if share is not None
        else None,
        reproduce=_commands(view, policy, causal),
    )


def _commands(view: EvaluationView, policy: DriftPolicy, causal: Sequence[str]) -> tuple[str, ...]:
    """The same report again, then the same question asked anew by a monitor of its own."""
    names = view.names
    asked = policy.model_dump(mode="json")
    if policy.causal.features == "watchlist":
        # A monitor's watchlist may change; who was on it then is told by what was measured.
        asked["causal"]["features"] = list(causal) or "none"
    monitor: dict[str, Any] = {
        "name": f"{names.monitor[:_NAME]}-again",
        "model": names.model,
        "corpus": names.corpus,
        "baseline": {"checkpoint": names.baseline},
        "policy": asked,
        "enabled": False,
    }
    if names.feature_set is not None:
        monitor["feature_set"] = {"name": names.feature_set, "version": names.feature_set_version}
    else:
        monitor["dictionary"] = names.dictionary
    evaluation = {"checkpoint": names.checkpoint, "monitor": monitor["name"]}
    return (
        f"featuredrift report {view.evaluation.id} --format html --out report.html",
        f"curl --json {quote(canonical_json(monitor).decode())} $API/monitors",
        f"curl --json {quote(canonical_json(evaluation).decode())} $API/evaluations",
    )


def _named(view: EvaluationView, role: str) -> str | None:
    names = view.names
    return {
        "baseline": names.baseline,
        "previous": names.previous,
        "candidate": names.checkpoint,
    }[role]


def _side(role: str, view: EvaluationView, snapshots: Snapshots) -> Side:
    key, inputs = snapshots.get(role, (None, {}))
    return Side(
        role=role,
        checkpoint=_named(view, role) or "",
        weights_digest=inputs.get("weights_digest"),
        config_digest=inputs.get("config_digest"),
        tokenizer_digest=inputs.get("tokenizer_digest"),
        snapshot_key=key,
    )
