# ruff: noqa: S608 - constants that share a beginning; values come in through Grafana's `:sqlstring`
"""SQL of the feature dashboard: one feature of one monitor, by name, over its checkpoints.

Points stand at the moment when their checkpoint was registered. Of several evaluations of one
checkpoint the newest that succeeded counts.
"""

FEATURES = """
    SELECT verdicts.feature
    FROM verdicts
    WHERE evaluation_id = (
      SELECT evaluations.id
      FROM evaluations
      JOIN monitors ON monitors.id = evaluations.monitor_id
      JOIN models ON models.id = monitors.model_id
      WHERE models.name = ${model:sqlstring} AND monitors.name = ${monitor:sqlstring}
        AND evaluations.state = 'succeeded'
      ORDER BY evaluations.checkpoint_id DESC, evaluations.created_at DESC, evaluations.id DESC
      LIMIT 1)
    GROUP BY verdicts.feature
    ORDER BY bool_or(verdict = 'drifted') DESC, verdicts.feature
    LIMIT 1000
"""

HISTORY = """
    WITH history AS (
      SELECT DISTINCT ON (evaluations.checkpoint_id)
        verdicts.*, evaluations.created_at AS accepted,
        checkpoints.name AS checkpoint, checkpoints.created_at AS time
      FROM evaluations
      JOIN monitors ON monitors.id = evaluations.monitor_id
      JOIN models ON models.id = monitors.model_id
      JOIN checkpoints ON checkpoints.id = evaluations.checkpoint_id
      JOIN verdicts ON verdicts.evaluation_id = evaluations.id
      WHERE models.name = ${model:sqlstring} AND monitors.name = ${monitor:sqlstring}
        AND verdicts.feature = ${feature:sqlstring}
        AND verdicts.comparison = ${comparison:sqlstring}
        AND evaluations.state = 'succeeded' AND $__timeFilter(checkpoints.created_at)
      ORDER BY evaluations.checkpoint_id, evaluations.created_at DESC, evaluations.id DESC
    )
"""

ESTIMANDS = f"""
    {HISTORY}
    SELECT estimand FROM (
      SELECT jsonb_object_keys(estimates) AS estimand, max(time) AS newest
      FROM history GROUP BY 1
    ) AS found
    ORDER BY estimand = (SELECT estimand FROM history ORDER BY time DESC LIMIT 1) DESC, estimand
"""

NEWEST = f"""
    {HISTORY}
    SELECT checkpoint, verdict, coalesce(change, 'none') AS change,
      coalesce(diagnosis, 'none') AS diagnosis, drift_score, paged::int AS paged,
      coalesce(token_level::text, 'not told') AS token_level,
      coalesce(earns_keep, 'not told') AS earns_keep,
      coalesce(causal_verdict, 'not told') AS causal
    FROM history ORDER BY time DESC, accepted DESC, evaluation_id DESC LIMIT 1
"""

VERDICTS = f"""
    {HISTORY}
    SELECT time, verdict, diagnosis FROM history ORDER BY time
"""

MARGINS = f"""
    {HISTORY}
    SELECT time, effect / nullif(margin, 0) AS effect, lower / nullif(margin, 0) AS "at least",
      upper / nullif(margin, 0) AS "at most"
    FROM history ORDER BY time
"""

ESTIMATE = f"""
    {HISTORY}
    SELECT time, (found ->> 'effect')::float AS effect, (found ->> 'lower')::float AS "at least",
      (found ->> 'upper')::float AS "at most", (found ->> 'margin')::float AS margin
    FROM (SELECT time, estimates -> ${{estimand:sqlstring}} AS found FROM history) AS estimated
    WHERE found IS NOT NULL
    ORDER BY time
"""

SCORE = f'{HISTORY} SELECT time, drift_score AS "drift score" FROM history ORDER BY time'

AUROC = f"""
    {HISTORY}
    SELECT time, concept_auroc_baseline AS "baseline", concept_auroc_candidate AS "checkpoint"
    FROM history ORDER BY time
"""

FIRING = f"""
    {HISTORY}
    SELECT time, firing_ratio_baseline AS "baseline", firing_ratio_candidate AS "checkpoint"
    FROM history ORDER BY time
"""

DOCUMENTS = f"""
    {HISTORY}
    SELECT time, active_documents AS "it was active in", documents AS "looked at"
    FROM history ORDER BY time
"""

TREND = f"""
    {HISTORY}
    SELECT time, (trend ->> 'level')::float AS level, (trend ->> 'limit')::float AS "bound",
      -(trend ->> 'limit')::float AS "lower bound"
    FROM history WHERE trend IS NOT NULL ORDER BY time
"""

TABLE = f"""
    {HISTORY}
    SELECT checkpoint, time AS registered, verdict, change, diagnosis, estimand, effect, lower,
      upper, margin, margin_source, drift_score, paged, slow_drift, reason,
      evaluation_id::text AS evaluation
    FROM history ORDER BY time DESC LIMIT 200
"""

DIAGNOSES = f"""
    {HISTORY}
    SELECT checkpoint, diagnosis, key AS shown_by, value::text AS evidence,
      evaluation_id::text AS evaluation
    FROM history, jsonb_each(diagnosis_evidence)
    ORDER BY time DESC, key LIMIT 200
"""

REPAIRS = f"""
    {HISTORY}
    SELECT checkpoint, repairs.state, changed ->> 'diagnosis' AS diagnosis,
      changed ->> 'reason' AS reason, repairs.decided_by, repairs.id::text AS repair
    FROM history
    JOIN repairs USING (evaluation_id, comparison)
    CROSS JOIN jsonb_array_elements(repairs.changes) AS changed
    WHERE changed ->> 'feature' = history.feature
    ORDER BY time DESC LIMIT 50
"""

CONTROLS = f"""
    {HISTORY}
    SELECT checkpoint, key AS control,
      CASE WHEN value ->> 'passed' IS NULL THEN 'not told'
        WHEN (value ->> 'passed')::boolean THEN 'held' ELSE 'failed' END AS outcome,
      value ->> 'detail' AS detail, evaluation_id::text AS evaluation
    FROM history, jsonb_each(controls)
    ORDER BY time DESC, key LIMIT 100
"""
