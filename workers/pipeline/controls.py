"""The controls of a case: what they found, the noise floor, and who may not be trusted.

What concerns the baseline alone is worked out once, stored under the digest of all that it follows
from, and read again by every later evaluation.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.core.digests import canonical_json, sha256_json
from workers.comparison import CorpusLabels, NoOpResult, compare_snapshots, identical
from workers.controls import numerics, random_features, randomised, shuffled_pairing
from workers.controls.applicability import not_applicable
from workers.controls.outcome import ControlOutcome
from workers.drift.ladder import Blocked
from workers.drift.noise import measure_floor
from workers.drift.policy import Estimand, Floor
from workers.drift.verdicts import VerdictTable
from workers.pipeline.case import Case, numeric_policy
from workers.pipeline.context import Context
from workers.pipeline.labelled import LabelledSample
from workers.pipeline.lease import Lease
from workers.pipeline.needs import RANDOM_SCOPES

_FORMAT = 4
"""Raised whenever what a control finds changes with the code."""
MAX_OUTCOMES = 20_000
"""A control's outcome on a feature is about a kilobyte of JSON."""

Floors = dict[tuple[Estimand, int], Floor]


@dataclass(frozen=True)
class ControlEvidence:
    """What the controls say of the features of a case."""

    no_op: NoOpResult
    outcomes: Mapping[str, ControlOutcome] = field(default_factory=dict)
    """By control, the no-op aside."""
    floor: Floors = field(default_factory=dict)
    randomised: VerdictTable | None = None
    """The baseline against the same architecture with all weights fresh."""
    baselines: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """By feature, simple read-outs of its concept beside it."""

    def blocked(self, names: Iterable[str]) -> dict[str, Blocked]:
        """The verdicts that the controls leave open to no estimate."""
        if not self.no_op.bit_equal:
            return dict.fromkeys(names, Blocked("invalid", no_op_detail(self.no_op)))
        found: dict[str, Blocked] = {}
        for outcome in self.outcomes.values():
            for name, feature in outcome.features.items():
                if feature.passed is False and name not in found:
                    found[name] = Blocked(
                        "untrusted", f"Control {outcome.control} failed: {feature.detail}"
                    )
        return found

    def rows(self) -> list[dict[str, Any]]:
        """Rows for `controls`."""
        no_op = {
            "control": "no_op",
            "passed": self.no_op.bit_equal,
            "detail": no_op_detail(self.no_op),
            "figures": {
                "tokens": self.no_op.tokens,
                "differing_values": self.no_op.differing_values,
                "max_abs_difference": self.no_op.max_abs_difference,
            },
        }
        others = [
            {
                "control": outcome.control,
                "passed": outcome.passed,
                "detail": outcome.detail,
                "figures": outcome.to_json()["figures"],
            }
            for outcome in self.outcomes.values()
        ]
        return [no_op, *others]

    def of(self, name: str) -> dict[str, Any] | None:
        """What each control found for one feature; None where none has judged it."""
        found = {
            control: outcome.features[name].to_json()
            for control, outcome in self.outcomes.items()
            if name in outcome.features
        }
        return found or None

    def token_level(self, name: str) -> bool | None:
        """Whether a feature survives with only its embeddings left."""
        outcome = self.outcomes.get(randomised.NAME)
        feature = outcome.features.get(name) if outcome else None
        value = feature.figures.get("token_level") if feature else None
        return None if value is None else bool(value)

    def floor_json(self) -> list[dict[str, Any]]:
        """The noise floor, for a summary."""
        return _floors_to_json(self.floor)


def control_evidence(
    context: Context, case: Case, labels: CorpusLabels, lease: Lease
) -> ControlEvidence:
    """Run or read all controls of a case.

    Raises:
        EvaluationError: a snapshot is damaged.
    """
    no_op = _no_op(case)
    lease.check()
    key = _digest(case)
    known = context.remembered.get(key)
    if known is None:
        known = _read_or_work_out(context, case, labels, lease, key)
        context.remembered.put(key, known)
    target = case.question.target
    outcomes = dict(known.outcomes)
    for one in not_applicable(case.question.policy, target.concepts, labels.labels):
        before = outcomes.get(one.control)
        outcomes[one.control] = replace(one, features=before.features if before else {})
    return ControlEvidence(no_op, outcomes, known.floor, known.randomised, known.baselines)


@dataclass(frozen=True)
class Known:
    """What follows from the baseline and its controls alone."""

    outcomes: Mapping[str, ControlOutcome]
    floor: Floors
    randomised: VerdictTable | None
    baselines: Mapping[str, dict[str, Any]]


def _read_or_work_out(
    context: Context, case: Case, labels: CorpusLabels, lease: Lease, key: str
) -> Known:
    artifact = f"controls/{key}.json"
    try:
        stored = json.loads(context.store.read_bytes(artifact))
        outcomes = [ControlOutcome.from_json(one) for one in stored["outcomes"]]
        floor, baselines = _floors_from_json(stored["floor"]), stored["baselines"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # Missing or damaged: it is worked out anew and written over.
        known = _work_out(context, case, labels, lease)
    else:
        found = _random_tables(case, labels, lease, floor, scopes=("all",))
        return Known({one.control: one for one in outcomes}, floor, found.get("all"), baselines)
    document = {
        "outcomes": [one.to_json() for one in known.outcomes.values()],
        "floor": _floors_to_json(known.floor),
        "baselines": known.baselines,
    }
    context.store.write_bytes(artifact, canonical_json(document))
    return known


def _work_out(context: Context, case: Case, labels: CorpusLabels, lease: Lease) -> Known:
    question = case.question
    policy = question.policy
    chosen = policy.controls
    baseline = case.readers["baseline"]
    nulls = _null_tables(case, labels, lease)
    floor = measure_floor(
        nulls,
        min_active_documents=policy.min_active_documents,
        without=numerics.unrepeatable(nulls, numeric_policy(policy)),
    )
    tables = _random_tables(case, labels, lease, floor)
    outcomes: list[ControlOutcome] = []
    if nulls:
        outcomes.append(numerics.judge(floor, nulls, numeric_policy(policy)))
    labelled = LabelledSample.of(context, case, labels, "baseline")
    if chosen.randomised_model:
        chance = {}
        random_sample = LabelledSample.of(context, case, labels, "random_all")
        if random_sample is not None and question.target.concepts:
            chance = random_sample.chance(chosen.seed)
        lease.check()
        outcomes.append(randomised.judge(tables, chance))
    if chosen.random_features and labelled is not None:
        outcomes.append(random_features.judge(labelled.chance(chosen.seed)))
        lease.check()
    if chosen.permuted_labels and labelled is not None:
        outcomes.append(labelled.permuted(policy.alpha, chosen.seed))
        lease.check()
    if chosen.shuffled_pairing:
        outcomes.append(
            shuffled_pairing.judge(
                baseline, labels, numeric_policy(policy, floor), seed=chosen.seed
            )
        )
        lease.check()
    baselines: dict[str, dict[str, Any]] = {}
    if policy.baselines and labelled is not None:
        baselines = labelled.baselines(policy.margins.concept, policy.alpha, chosen.seed)
        lease.check()
    kept = [_abridged(one, question.watchlist) for one in outcomes]
    return Known({one.control: one for one in kept}, floor, tables.get("all"), baselines)


def _abridged(outcome: ControlOutcome, watchlist: Iterable[str]) -> ControlOutcome:
    """Of a very large dictionary, only the latents that failed, read tokens or are watched."""
    if len(outcome.features) <= MAX_OUTCOMES:
        return outcome
    watched = set(watchlist)
    telling = {
        name: found
        for name, found in outcome.features.items()
        if found.passed is False or found.figures.get("token_level") or name in watched
    }
    return replace(outcome, features=telling)


def _no_op(case: Case) -> NoOpResult:
    """Compare the control's capture with the baseline's last tokens, which are the same ones."""
    baseline, again = case.readers["baseline"], case.readers["no_op"]
    first = max(baseline.tokens - again.tokens, 0)
    return identical(baseline, again, baseline_range=(first, baseline.tokens))


def no_op_detail(control: NoOpResult) -> str:
    """What the no-op control found, in a sentence."""
    if control.bit_equal:
        return (
            f"The baseline's weights, loaded and captured again, gave the same bits on "
            f"{control.tokens} tokens."
        )
    return (
        f"The no-op control failed: the baseline's weights, loaded and captured again, gave "
        f"{control.differing_values} other values on {control.tokens} tokens (largest difference "
        f"{control.max_abs_difference:.3g}). This worker's numbers are not repeatable, so that no "
        "difference between checkpoints can be trusted."
    )


def _random_tables(
    case: Case,
    labels: CorpusLabels,
    lease: Lease,
    floor: Floors,
    scopes: Iterable[str] = RANDOM_SCOPES.values(),
) -> dict[str, VerdictTable]:
    """The baseline against the randomised models, by scope.

    With the very margins that a candidate is judged by: a feature that random weights do not move
    beyond these could never be found to drift.
    """
    found = {}
    for role, scope in RANDOM_SCOPES.items():
        if role in case.readers and scope in scopes:
            found[scope] = _table(case, labels, role, floor)
            lease.check()
    return found


def _null_tables(case: Case, labels: CorpusLabels, lease: Lease) -> dict[str, VerdictTable]:
    """The baseline against itself in other numerics, and against benign checkpoints."""
    found = {}
    for role in sorted(case.readers):
        source = None
        if role.startswith("numerics_"):
            source = role
        elif role.startswith("benign:"):
            source = f"benign:{case.checkpoints[role].name}"
        if source is not None:
            found[source] = _table(case, labels, role)
            lease.check()
    return found


def _table(
    case: Case, labels: CorpusLabels, role: str, floor: Floors | None = None
) -> VerdictTable:
    target = case.question.target
    return compare_snapshots(
        case.readers["baseline"],
        case.readers[role],
        labels,
        numeric_policy(case.question.policy, floor),
        concepts=target.concepts,
        dictionaries=target.dictionaries_of(case.names),
        numerics_may_differ=role.startswith("numerics_"),
    ).verdicts


def _digest(case: Case) -> str:
    """The identity of everything that the controls' findings follow from."""
    roles = {
        role: snapshot.key
        for role, snapshot in case.snapshots.items()
        if role == "baseline" or role.startswith(("random_", "numerics_", "benign:"))
    }
    policy = case.question.policy.model_dump(
        mode="json", exclude={"gate", "pages", "slow_drift", "causal", "diagnosis", "retention"}
    )
    return sha256_json(
        {
            "format": _FORMAT,
            "snapshots": roles,
            "benign": sorted(one.name for role, one in case.checkpoints.items() if ":" in role),
            "corpus_digest": case.corpus.digest,
            "concepts": case.question.target.concepts,
            "policy": policy,
        }
    )


def _floors_to_json(floor: Floors) -> list[dict[str, Any]]:
    return [
        {"estimand": estimand, "stratum": stratum, "value": one.value, "source": one.source}
        for (estimand, stratum), one in sorted(floor.items())
    ]


def _floors_from_json(stored: list[dict[str, Any]]) -> Floors:
    return {(one["estimand"], one["stratum"]): Floor(one["value"], one["source"]) for one in stored}
