"""Sessions of the web pages that were ended before their time."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from app.core.tables import Base


class EndedSession(Base):
    """A session that somebody signed out of: whoever has a copy of its cookie is signed out too.

    Sessions that go on are in no table: the browser's cookie, which we have signed, is all of one.
    """

    __tablename__ = "ended_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    until: Mapped[datetime] = mapped_column(index=True)
    """When no cookie of it can be good any more, and the row may go."""
