"""Registered things: models, checkpoints, aliases, corpora, dictionaries, feature sets."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.tables import Base, Identified, one_of

FEATURE_KINDS = ("sae_latent", "linear_probe", "direction", "neuron", "composite")


class Model(Identified, Base):
    """A line of checkpoints that replace each other in production."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]


class Checkpoint(Identified, Base):
    """One immutable set of weights of a model; only the mark `benign` may change.

    Digests are null until a worker has read the files; from then on a source whose content has
    changed is refused.
    """

    __tablename__ = "checkpoints"
    __table_args__ = (UniqueConstraint("model_id", "name"),)

    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    name: Mapped[str]
    source: Mapped[str]
    revision: Mapped[str | None]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("checkpoints.id"))
    benign: Mapped[bool] = mapped_column(default=False)
    """An update that changed nothing that matters: it helps to measure the noise floor."""
    benign_at: Mapped[datetime | None]
    benign_note: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    """Counts changes of the mark, for `ETag`."""
    note: Mapped[str | None]
    registered_digest: Mapped[str | None]
    """The SHA-256 of weights that the caller claims; checked by the worker."""
    resolved_at: Mapped[datetime | None]
    resolved_revision: Mapped[str | None]
    weights_digest: Mapped[str | None] = mapped_column(index=True)
    config_digest: Mapped[str | None]
    tokenizer_digest: Mapped[str | None]
    properties: Mapped[dict[str, Any] | None]
    """Architecture, layers, width, context length, stored dtype: as the worker found them."""


class Alias(Identified, Base):
    """A movable name for one checkpoint."""

    __tablename__ = "aliases"
    __table_args__ = (UniqueConstraint("model_id", "name"),)

    model_id: Mapped[UUID] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    name: Mapped[str]
    checkpoint_id: Mapped[UUID] = mapped_column(ForeignKey("checkpoints.id"))
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime]


class Corpus(Identified, Base):
    """An immutable, digested set of documents; the documents are an artifact."""

    __tablename__ = "corpora"

    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    digest: Mapped[str] = mapped_column(index=True)
    artifact_key: Mapped[str]
    documents: Mapped[int]
    groups: Mapped[int]
    characters: Mapped[int] = mapped_column(BigInteger)
    concepts: Mapped[dict[str, Any]]
    """Concept label → {"documents": …, "spans": …}."""
    perturbations: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Perturbation → {"documents": variants of that kind, "left_out": originals without one}."""


class Dictionary(Identified, Base):
    """An SAE or transcoder at a site, in SAELens format."""

    __tablename__ = "dictionaries"

    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    site: Mapped[str]
    source: Mapped[str | None]
    release: Mapped[str | None]
    sae_id: Mapped[str | None]
    digest: Mapped[str | None]
    """Null for a SAELens release until a worker has fetched it."""
    architecture: Mapped[str | None]
    d_in: Mapped[int | None]
    d_sae: Mapped[int | None]


class FeatureSet(Identified, Base):
    """A named line of feature-set versions."""

    __tablename__ = "feature_sets"

    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]


class FeatureSetVersion(Identified, Base):
    """An immutable list of features; the unit that a monitor watches."""

    __tablename__ = "feature_set_versions"
    __table_args__ = (
        UniqueConstraint("feature_set_id", "number"),
        UniqueConstraint("feature_set_id", "digest"),
    )

    feature_set_id: Mapped[UUID] = mapped_column(ForeignKey("feature_sets.id", ondelete="CASCADE"))
    number: Mapped[int]
    digest: Mapped[str]
    features_count: Mapped[int]


class Feature(Identified, Base):
    """One named definition inside a feature-set version."""

    __tablename__ = "features"
    __table_args__ = (
        UniqueConstraint("feature_set_version_id", "name"),
        CheckConstraint(one_of("kind", FEATURE_KINDS), name="kind"),
    )

    feature_set_version_id: Mapped[UUID] = mapped_column(
        ForeignKey("feature_set_versions.id", ondelete="CASCADE")
    )
    position: Mapped[int]
    name: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    concept: Mapped[str | None]
    definition: Mapped[dict[str, Any]]
    definition_digest: Mapped[str]
    dictionary_id: Mapped[UUID | None] = mapped_column(ForeignKey("dictionaries.id"))
