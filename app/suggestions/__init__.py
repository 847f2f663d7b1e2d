"""Suggested features: the process that finds them, and the definitions that come of them."""

from app.suggestions.definitions import definitions
from app.suggestions.process import SuggestionError, run_suggestion

__all__ = ["SuggestionError", "definitions", "run_suggestion"]
