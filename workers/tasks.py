"""Celery tasks: an id in, a call out."""

from typing import Any
from uuid import UUID

from sqlalchemy.exc import OperationalError, TimeoutError

from app.evaluations.broker import RUN_SHARD, cause_of
from app.settings import get_settings
from workers.celery_app import app
from workers.refusal import refuse


@app.task(name=RUN_SHARD, bind=True)
def run_shard(self: Any, shard_id: str) -> None:
    """Claim a shard and work on it, if there is still something to do."""
    try:
        from workers.pipeline.run import run_shard

        run_shard(UUID(shard_id), cause=cause_of(vars(self.request)))
    except (OperationalError, TimeoutError):
        # Postgres is away: the lease, or the next announcement, brings the shard back.
        raise
    except Exception as error:
        refuse(get_settings(), UUID(shard_id), error)
        raise
