# ruff: noqa: S608 - constants that share a beginning; values come in through Grafana's `:sqlstring`
"""SQL of the model-line dashboard.

Points stand at the moment when their checkpoint was registered. Of several evaluations of one
checkpoint the newest that succeeded counts.
"""

from typing import Literal

MODELS = "SELECT name FROM models ORDER BY name"

MONITORS = """
    SELECT monitors.name
    FROM monitors JOIN models ON models.id = monitors.model_id
    WHERE models.name = ${model:sqlstring}
    ORDER BY monitors.enabled DESC, monitors.name
"""

CHECKPOINTS = """
    SELECT checkpoints.created_at AS time,
      checkpoints.name || CASE WHEN benign THEN ' (benign)' ELSE '' END AS text,
      'checkpoint' AS tags
    FROM checkpoints JOIN models ON models.id = checkpoints.model_id
    WHERE models.name = ${model:sqlstring} AND $__timeFilter(checkpoints.created_at)
    ORDER BY checkpoints.created_at
"""

JUDGED = """
    WITH judged AS (
      SELECT DISTINCT ON (evaluations.checkpoint_id)
        evaluations.id, evaluations.created_at, evaluations.finished_at,
        checkpoints.name AS checkpoint, checkpoints.created_at AS time,
        evaluations.summary -> 'comparisons' -> 'baseline' AS found
      FROM evaluations
      JOIN monitors ON monitors.id = evaluations.monitor_id
      JOIN models ON models.id = monitors.model_id
      JOIN checkpoints ON checkpoints.id = evaluations.checkpoint_id
      WHERE models.name = ${model:sqlstring} AND monitors.name = ${monitor:sqlstring}
        AND evaluations.state = 'succeeded' AND $__timeFilter(checkpoints.created_at)
      ORDER BY evaluations.checkpoint_id, evaluations.created_at DESC, evaluations.id DESC
    )
"""

NEWEST = f"""
    {JUDGED}
    SELECT checkpoint, id::text AS evaluation
    FROM judged ORDER BY time DESC, created_at DESC, id DESC LIMIT 1
"""

SHARE = f"""
    {JUDGED}
    SELECT time, (found ->> 'drifted_ratio')::float AS drifted,
      (found ->> 'drifted_lower')::float AS "at least",
      (found ->> 'drifted_upper')::float AS "at most"
    FROM judged ORDER BY time
"""

VERDICTS = f"""
    {JUDGED}
    SELECT time, counted.key AS metric, counted.value::float AS features
    FROM judged, jsonb_each_text(found -> 'counts') AS counted
    ORDER BY time
"""

FLAGS = f"""
    {JUDGED}
    SELECT time, (found ->> 'paged')::float AS "to wake someone for",
      (found ->> 'slow_drift')::float AS "slow drift"
    FROM judged ORDER BY time
"""


DRIFTED = f"""
    {JUDGED},
    newest AS (SELECT * FROM judged ORDER BY time DESC, created_at DESC, id DESC LIMIT 1)
    SELECT feature, verdict, change, diagnosis, abs(effect) / nullif(margin, 0) AS margins,
      drift_score, paged, slow_drift, reason, newest.id::text AS evaluation
    FROM newest JOIN verdicts ON evaluation_id = newest.id
    WHERE comparison = 'baseline' AND (verdict <> 'stable' OR slow_drift)
    ORDER BY paged DESC, verdict = 'drifted' DESC, margins DESC NULLS LAST, feature
    LIMIT 100
"""

CONTROLS = f"""
    {JUDGED}
    SELECT checkpoint, control,
      CASE WHEN passed IS NULL THEN 'not told' WHEN passed THEN 'held' ELSE 'failed'
        END AS outcome,
      detail, judged.id::text AS evaluation
    FROM judged JOIN controls ON evaluation_id = judged.id
    ORDER BY time DESC, passed NULLS LAST, control
    LIMIT 200
"""

ALERTS = """
    SELECT severity, state, subject_kind AS about, subject, condition, detail, occurrences,
      opened_at AS opened, acknowledged_by AS acknowledged, alerts.id::text AS alert,
      last_evaluation_id::text AS evaluation
    FROM alerts
    JOIN monitors ON monitors.id = alerts.monitor_id
    JOIN models ON models.id = monitors.model_id
    WHERE models.name = ${model:sqlstring} AND monitors.name = ${monitor:sqlstring}
      AND state <> 'resolved'
    ORDER BY severity, opened_at
    LIMIT 100
"""

EVALUATIONS = """
    SELECT checkpoints.name AS checkpoint, baseline.name AS baseline, state,
      evaluations.created_at AS accepted, extract(epoch FROM finished_at - started_at) AS took,
      coalesce(error ->> 'detail', '') AS error, evaluations.id::text AS evaluation
    FROM evaluations
    JOIN monitors ON monitors.id = evaluations.monitor_id
    JOIN models ON models.id = monitors.model_id
    JOIN checkpoints ON checkpoints.id = evaluations.checkpoint_id
    JOIN checkpoints AS baseline ON baseline.id = evaluations.baseline_checkpoint_id
    WHERE models.name = ${model:sqlstring} AND monitors.name = ${monitor:sqlstring}
      AND $__timeFilter(evaluations.created_at)
    ORDER BY evaluations.created_at DESC, evaluations.id DESC
    LIMIT 100
"""


def health(figure: Literal["fvu", "l0", "dead_ratio"]) -> str:
    """One figure of each dictionary over checkpoints."""
    return f"""
        {JUDGED}
        SELECT time, dictionary_health.dictionary AS metric, {figure} AS value
        FROM judged JOIN dictionary_health ON evaluation_id = judged.id
        WHERE role = 'candidate' AND {figure} IS NOT NULL
        ORDER BY time
    """
