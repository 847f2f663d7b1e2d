"""A deployment under test: real servers, a dispatcher, a worker, and a tiny world to watch."""

from tests.support.probes import (
    CONTROLS_TO_CHOOSE,
    SITE,
    documents,
    features_of_all_kinds,
    save_dictionary,
)
from tests.support.waiting import wait_for
from tests.support.workers import Worker, dispatching, fault_environment, working
from tests.support.world import ENDED, World, connected

__all__ = [
    "CONTROLS_TO_CHOOSE",
    "ENDED",
    "SITE",
    "Worker",
    "World",
    "connected",
    "dispatching",
    "documents",
    "fault_environment",
    "features_of_all_kinds",
    "save_dictionary",
    "wait_for",
    "working",
]
