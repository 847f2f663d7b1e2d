"""Answers that are more than one schema of the API."""

from pydantic import BaseModel, ConfigDict

from app.registry.schemas.models import CheckpointOut


class Registration(BaseModel):
    """What registering a checkpoint has done."""

    model_config = ConfigDict(frozen=True)

    checkpoint: CheckpointOut
    new: bool
    """False: it was registered before, with the same content."""
