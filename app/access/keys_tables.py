"""API keys, and what is shared with the models that keys are bound to."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tables import Base, Identified, one_of

SCOPES = ("read", "write", "admin", "metrics")


class ApiKey(Identified, Base):
    """Who may do what; the key itself is kept nowhere."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint(one_of("scope", SCOPES), name="scope"),
        CheckConstraint(
            "(previous_digest IS NULL) = (previous_expires_at IS NULL)", name="previous_digest"
        ),
        # The name says in the audit trail who it was: no two keys that work have the same.
        Index("uq_api_keys_name", "name", unique=True, postgresql_where=text("revoked_at IS NULL")),
    )

    name: Mapped[str]
    scope: Mapped[str]
    models: Mapped[list[str] | None]
    """Names of the models that it is bound to; null: all."""
    digest: Mapped[str] = mapped_column(unique=True)
    """HMAC-SHA256 with the server's pepper."""
    hint: Mapped[str]
    previous_digest: Mapped[str | None] = mapped_column(unique=True)
    """Of the key before the last rotation, which works until it expires."""
    previous_expires_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """Written at most once a minute."""
    revoked_at: Mapped[datetime | None]
    created_by: Mapped[str]


class ModelAccess(Base):
    """A corpus, dictionary or feature set that keys bound to a model have registered for it.

    Models by name, as in the keys; the subject by its id, whichever table it is of.
    """

    __tablename__ = "model_access"

    model: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
