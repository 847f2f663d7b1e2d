"""What a collector goes by, apart from the monitors' policies."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from app.settings import Settings

Scope = Literal["policies", "all"]
"""`policies`: what a monitor's policy lets go. `all`: also what nothing refers to."""

CACHE_AGE = timedelta(days=30)
"""Caches that are worked out anew when they are needed go at this age."""


@dataclass(frozen=True)
class Rules:
    """Times of the collector.

    Attributes:
        grace: from the mark to the deletion.
        leftover_age: younger files to which nothing refers may be about to be referred to.
        cache_age: of caches, since they were written.
    """

    grace: timedelta
    leftover_age: timedelta
    cache_age: timedelta = CACHE_AGE

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """The deployment's."""
        return cls(
            grace=timedelta(seconds=settings.retention_grace),
            leftover_age=timedelta(seconds=settings.retention_leftover_age),
        )
