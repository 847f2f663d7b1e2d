"""Identifiers: UUIDs of version 7, so that sorting by id is sorting by creation."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A fresh, time-ordered identifier (RFC 9562)."""
    return uuid7()
