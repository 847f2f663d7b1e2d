"""Rows as the service itself would have written them, made inside Postgres or by COPY.

Ids are UUIDs of version 7, as the service's are, so that newer rows have greater ids.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from app.core.ids import new_id
from app.monitors.policy import DriftPolicy

ESTIMATES = {
    name: {
        "effect": 0.0412,
        "lower": -0.0131,
        "upper": 0.0955,
        "se": 0.0277,
        "df": 998.0,
        "margin": 0.2231,
        "margin_source": "policy",
        "p_drifted": 0.9999,
        "p_stable": 0.0001,
    }
    for name in ("rate", "magnitude", "identity", "strength")
}
"""What a sparse feature has of estimates: their size is what matters here."""

_COLUMNS = (
    "evaluation_id, comparison, feature, feature_id, verdict, change, changes, reason, estimand, "
    "effect, lower, upper, margin, margin_source, p_drifted, p_stable, q_drifted, q_stable, "
    "active_documents, documents, tokens, firing_ratio_baseline, firing_ratio_candidate, "
    "drift_score, paged, slow_drift, estimates, definition_digest, baseline_snapshot_key, "
    "candidate_snapshot_key"
)
_REASON = "drifted in rate: effect 0.04 [-0.01, 0.10], margin 0.22 (policy), q 0.03"

# The same row by SQL; %(…)s are of the statement that encloses it, `f` numbers the features.
VALUES = """
    'baseline', {name}, {feature_id},
    CASE WHEN f %% 10 = 0 THEN 'drifted' ELSE 'stable' END,
    CASE WHEN f %% 10 = 0 THEN 'rate' END, '["rate"]', %(reason)s, 'rate',
    random(), 0.1, 0.3, 0.2231, 'policy', random(), random(), random(), random(),
    400, 1000, 131072, random(), random(), random(), false, false,
    CAST(%(estimates)s AS jsonb), %(digest)s, %(digest)s, %(digest)s
"""


@dataclass(frozen=True)
class Filled:
    """One monitor with its evaluations: ids in order, the oldest first."""

    model: str
    monitor_id: UUID
    version_id: UUID
    feature_ids: Sequence[UUID]
    evaluations: Sequence[UUID]


def fill_monitor(
    connection: psycopg.Connection,
    *,
    model: str,
    monitor: str,
    features: int,
    evaluations: int,
    watch: bool,
    dictionary: bool = False,
) -> Filled:
    """A monitor of a model (made if need be) with succeeded evaluations, one a checkpoint."""
    run = connection.execute
    run("INSERT INTO models (id, name) VALUES (uuidv7(), %s) ON CONFLICT DO NOTHING", [model])
    model_id = _one(run("SELECT id FROM models WHERE name = %s", [model]))
    run(
        "INSERT INTO checkpoints (id, model_id, name, source, benign, weights_digest) "
        "SELECT uuidv7(), %s, 'step-' || i, 's3://ckpt/step-' || i, false, md5(i::text) "
        "FROM generate_series(0, %s) i ORDER BY i ON CONFLICT DO NOTHING",
        [model_id, evaluations],
    )
    corpus_id, set_id, version_id, monitor_id = (new_id() for _ in range(4))
    run(
        "INSERT INTO corpora (id, name, digest, artifact_key, documents, groups, characters, "
        "concepts) VALUES (%s, %s, 'c', 'corpora/c', 1000, 1000, 100000, '{}')",
        [corpus_id, monitor],
    )
    run("INSERT INTO feature_sets (id, name) VALUES (%s, %s)", [set_id, monitor])
    run(
        "INSERT INTO feature_set_versions (id, feature_set_id, number, digest, features_count) "
        "VALUES (%s, %s, 1, 'f', %s)",
        [version_id, set_id, features],
    )
    run(
        "INSERT INTO features (id, feature_set_version_id, position, name, kind, definition, "
        "definition_digest) SELECT uuidv7(), %s, i, 'feature-' || i, 'neuron', '{}', 'd' "
        "FROM generate_series(0, %s - 1) i ORDER BY i",
        [version_id, features],
    )
    dictionary_id = new_id() if dictionary else None
    if dictionary:
        run(
            "INSERT INTO dictionaries (id, name, site, source) VALUES (%s, %s, 's', '/d')",
            [dictionary_id, monitor],
        )
    names = [f"feature-{i}" for i in range(features)] if watch else []
    target = None if dictionary else version_id
    run(
        "INSERT INTO monitors (id, name, model_id, corpus_id, feature_set_version_id, "
        "dictionary_id, baseline, policy, watchlist, enabled, version, updated_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, true, 1, now())",
        [
            *(monitor_id, monitor, model_id, corpus_id, target, dictionary_id),
            *(Jsonb({"checkpoint": "step-0"}), Jsonb(DriftPolicy().model_dump(mode="json"))),
            Jsonb(names),
        ],
    )
    run(
        "INSERT INTO evaluations (id, created_at, monitor_id, checkpoint_id, "
        "baseline_checkpoint_id, corpus_id, feature_set_version_id, dictionary_id, policy, "
        "inputs_digest, state, step, started_at, finished_at, summary) "
        "SELECT uuidv7(), now() - make_interval(hours => %s - i), %s, c.id, b.id, %s, %s, %s, "
        "'{}', i::text, 'succeeded', 'done', now(), now(), %s FROM generate_series(1, %s) i "
        "JOIN checkpoints c ON c.model_id = %s AND c.name = 'step-' || i "
        "JOIN checkpoints b ON b.model_id = %s AND b.name = 'step-0' ORDER BY i",
        [
            *(evaluations, monitor_id, corpus_id, target, dictionary_id),
            *(Jsonb({"comparisons": {"baseline": summary_of(features)}}), evaluations),
            *(model_id, model_id),
        ],
    )
    found = run("SELECT id FROM evaluations WHERE monitor_id = %s ORDER BY id", [monitor_id])
    ids = [row[0] for row in found]
    listed = run(
        "SELECT id FROM features WHERE feature_set_version_id = %s ORDER BY position", [version_id]
    )
    return Filled(model, monitor_id, version_id, [row[0] for row in listed], ids)


def summary_of(features: int) -> dict[str, Any]:
    """What the pipeline writes of a comparison in which every tenth feature has drifted."""
    drifted = -(-features // 10)
    return {
        "counts": {"drifted": drifted, "stable": features - drifted},
        "drifted_ratio": drifted / features,
        "drifted_lower": 0.0,
        "drifted_upper": 1.0,
        "paged": 0,
        "slow_drift": 0,
    }


def copy_verdicts(connection: psycopg.Connection, filled: Filled) -> int:
    """A row for each feature of each evaluation, by COPY; returns how many."""
    rows = 0
    statement = f"COPY verdicts ({_COLUMNS}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for evaluation in filled.evaluations:
            for row in _rows(evaluation, filled.feature_ids):
                copy.write_row(row)
                rows += 1
    return rows


def insert_verdicts(
    connection: psycopg.Connection, evaluations: Sequence[UUID], features: int
) -> int:
    """Rows of unregistered features (latents) of some evaluations, made inside Postgres."""
    values = VALUES.format(name="'latent-' || f", feature_id="NULL::uuid")
    statement = (
        f"INSERT INTO verdicts ({_COLUMNS}) SELECT e, {values} "  # noqa: S608 - all constants
        "FROM unnest(%(evaluations)s::uuid[]) e, generate_series(0, %(features)s - 1) f"
    )
    cursor = connection.execute(
        statement,
        {
            "evaluations": list(evaluations),
            "features": features,
            "reason": _REASON,
            "estimates": Jsonb(ESTIMATES),
            "digest": "0" * 64,
        },
    )
    return cursor.rowcount


def _rows(evaluation: UUID, feature_ids: Sequence[UUID]) -> Iterable[tuple[object, ...]]:
    for index, feature_id in enumerate(feature_ids):
        drifted = index % 10 == 0
        yield (
            *(evaluation, "baseline", f"feature-{index}", feature_id),
            *("drifted" if drifted else "stable", "rate" if drifted else None, Jsonb(["rate"])),
            *(_REASON, "rate", 0.04, -0.01, 0.1, 0.2231, "policy", 0.9, 0.1, 0.9, 0.1),
            *(400, 1000, 131072, 0.01, 0.011, index / (len(feature_ids) + 1), False, False),
            *(Jsonb(ESTIMATES), *["0" * 64] * 3),
        )


def _one(cursor: psycopg.Cursor) -> UUID:
    row = cursor.fetchone()
    if row is None:
        raise RuntimeError("a row that was just inserted is not there")
    found: UUID = row[0]
    return found
