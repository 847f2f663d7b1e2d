"""Rows of files: each format is read piece by piece, and never runs anything that it holds."""

from app.imports.readers.opening import FORMATS, Format, open_rows
from app.imports.readers.reader import MAX_LINE_BYTES, Reader

__all__ = ["FORMATS", "MAX_LINE_BYTES", "Format", "Reader", "open_rows"]
