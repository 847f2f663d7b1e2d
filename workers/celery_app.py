"""The worker process: `celery --app workers.celery_app worker`.

The parent imports neither torch nor SAELens: threads of OpenMP do not survive a fork, and the child
that inherits half of a pool hangs. Each child imports them when it starts.
"""

import gc
import logging
import os
from typing import Any

from celery.signals import celeryd_init, setup_logging, worker_process_init, worker_process_shutdown

from app.core.logging import configure_logging, get_logger
from app.core.telemetry import close_telemetry, configure_telemetry
from app.evaluations.broker import make_celery
from app.settings import get_settings
from workers import celery_logs
from workers.broker_credit import ReclaimCredit
from workers.memory_limit import limit_memory

settings = get_settings()
app = make_celery(settings)
app.conf.update(
    imports=["workers.tasks"],
    worker_pool="prefork",
    # Bounds what leaks in native libraries; a shard costs minutes, a new child seconds.
    worker_max_tasks_per_child=500,
    # A child imports torch and SAELens before it reports for work.
    worker_proc_alive_timeout=180.0,
    worker_send_task_events=False,
    # Nobody inspects workers through the broker; Postgres knows who does what.
    worker_enable_remote_control=False,
)

app.steps["consumer"].add(ReclaimCredit)
celery_logs.connect()


# Before Celery's first warning, and where Celery would else set up logs of its own.
@celeryd_init.connect
@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    configure_logging(settings.log_level, process="worker", extra=[celery_logs.name_shard])
    # "Received" and "succeeded" of each message: the pipeline says it better, with its shard.
    for chatty in ("celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@worker_process_init.connect
def _prepare_child(**_: Any) -> None:
    configure_telemetry("featuredrift-worker")
    # Read by OpenMP when torch is imported, and never again.
    os.environ["OMP_NUM_THREADS"] = str(settings.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if not settings.allow_hub:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if settings.preload:
        _preload()
    # What is imported stays: each full collection would go through half a million objects of it.
    gc.freeze()
    # After the imports, which map more than they keep.
    limit_memory(settings)


@worker_process_shutdown.connect
def _leave_child(**_: Any) -> None:
    # A child ends without Python's own farewells, in which spans would be sent.
    close_telemetry()


def _preload() -> None:
    try:
        # Imported for their weight: seconds that the first evaluation would wait for.
        import sae_lens  # noqa: F401

        import workers.pipeline.run  # noqa: F401
    except ImportError:
        # The first task fails with the same error, in the ledger, where a person sees it.
        get_logger(__name__).exception("the worker's libraries cannot be imported")
