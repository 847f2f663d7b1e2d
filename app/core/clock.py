"""Time, always in UTC."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, with its zone."""
    return datetime.now(UTC)
