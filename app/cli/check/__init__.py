"""`check`: ask the gate whether a checkpoint may be released, and exit accordingly."""

from app.cli.check.command import register

__all__ = ["register"]
