"""Corpora and features that exist already elsewhere, brought into the registry's own form."""

from app.imports.corpus import Converted, convert_corpus
from app.imports.errors import ImportRefusedError
from app.imports.rows import Columns

__all__ = ["Columns", "Converted", "ImportRefusedError", "convert_corpus"]
