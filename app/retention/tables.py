"""What the collector has marked, and when it ran. A snapshot's marks are in its own row."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tables import Base, Identified, one_of

SCOPES = ("policies", "all")


class RetiredArtifact(Base):
    """A file or folder of the artifact store that will be deleted when its grace is over.

    The row goes last: while it is there, the deletion is still to be done, or to be done again.
    """

    __tablename__ = "retired_artifacts"

    key: Mapped[str] = mapped_column(primary_key=True)
    """A file's key, or a folder's without a slash at its end."""
    kind: Mapped[str]
    reason: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    marked_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RetentionRun(Identified, Base):
    """One run of the collector; without an end it was killed, and the next one goes on."""

    __tablename__ = "retention_runs"
    __table_args__ = (CheckConstraint(one_of("scope", SCOPES), name="scope"),)

    scope: Mapped[str]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[dict[str, Any] | None]
