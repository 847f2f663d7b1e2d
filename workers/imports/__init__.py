"""Imports that need numpy, or SAELens: estimators from a notebook, and releases on the hub."""

from workers.imports.estimators import probes_of, save_probes

__all__ = ["probes_of", "save_probes"]
