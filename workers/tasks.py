"""Celery tasks: an id in, a call out."""

from typing import Any
from uuid import UUID

from app.evaluations.broker import RUN_SHARD, cause_of
from workers.celery_app import app


@app.task(name=RUN_SHARD, bind=True)
def run_shard(self: Any, shard_id: str) -> None:
    """Claim a shard and work on it, if there is still something to do."""
    from workers.pipeline.run import run_shard

    run_shard(UUID(shard_id), cause=cause_of(vars(self.request)))
