"""The declarative base and the column types that all tables share."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import DateTime, MetaData, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.core.ids import new_id

# Constraints have predictable names, so that migrations can drop what they once created.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of every table."""

    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
        list[str]: JSONB(none_as_null=True),
        list[dict[str, Any]]: JSONB(none_as_null=True),
        str: Text(),
    }


class Identified:
    """A primary key that sorts by creation, and the moment of creation."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id, sort_order=-2)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), sort_order=-1)


def one_of(column: str, values: tuple[str, ...]) -> str:
    """The SQL of a check that a text column holds one of some words."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"
