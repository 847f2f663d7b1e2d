"""SQL of the service dashboard: leases, workers, and how long pieces of work take."""

LEASES = """
    SELECT shards.kind, coalesce(monitors.name, 'snapshot') AS for, shards.worker, shards.attempt,
      extract(epoch FROM now() - shards.started_at) AS running_for,
      extract(epoch FROM shards.lease_expires_at - now()) AS lease_left,
      shards.id::text AS shard
    FROM shards
    LEFT JOIN evaluations ON evaluations.id = shards.evaluation_id
    LEFT JOIN monitors ON monitors.id = evaluations.monitor_id
    WHERE shards.state = 'running'
    ORDER BY lease_left LIMIT 100
"""

WORKERS = """
    SELECT worker, count(*) FILTER (WHERE state = 'running') AS running,
      count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
      count(*) FILTER (WHERE state = 'failed') AS failed,
      max(coalesce(finished_at, started_at)) AS last_seen
    FROM shards
    WHERE worker IS NOT NULL AND $__timeFilter(coalesce(finished_at, started_at))
    GROUP BY worker ORDER BY last_seen DESC LIMIT 100
"""

EVALUATION_SECONDS = """
    SELECT evaluations.finished_at AS time, models.name || ' / ' || monitors.name AS metric,
      extract(epoch FROM evaluations.finished_at - evaluations.started_at)::float AS seconds
    FROM evaluations
    JOIN monitors ON monitors.id = evaluations.monitor_id
    JOIN models ON models.id = monitors.model_id
    WHERE evaluations.started_at IS NOT NULL AND evaluations.state = 'succeeded'
      AND $__timeFilter(evaluations.finished_at)
    ORDER BY 1
"""

SHARD_SECONDS = """
    SELECT finished_at AS time, kind AS metric,
      extract(epoch FROM finished_at - started_at)::float AS seconds
    FROM shards
    WHERE started_at IS NOT NULL AND state = 'succeeded' AND $__timeFilter(finished_at)
    ORDER BY 1
"""

WAITING_SECONDS = """
    SELECT started_at AS time, kind AS metric,
      greatest(0, extract(epoch FROM started_at - queued_at))::float AS seconds
    FROM shards
    WHERE started_at IS NOT NULL AND $__timeFilter(started_at)
    ORDER BY 1
"""

FAILED = """
    SELECT evaluations.finished_at AS ended, models.name AS model, monitors.name AS monitor,
      checkpoints.name AS checkpoint, error ->> 'code' AS code, error ->> 'detail' AS detail,
      evaluations.id::text AS evaluation
    FROM evaluations
    JOIN monitors ON monitors.id = evaluations.monitor_id
    JOIN models ON models.id = monitors.model_id
    JOIN checkpoints ON checkpoints.id = evaluations.checkpoint_id
    WHERE evaluations.state = 'failed' AND $__timeFilter(evaluations.finished_at)
    ORDER BY evaluations.finished_at DESC LIMIT 50
"""
