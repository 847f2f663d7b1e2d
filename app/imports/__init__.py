"""Corpora and features that exist already elsewhere, brought into the registry's own form."""

from app.imports.catalog import catalog
from app.imports.corpus import Converted, convert_corpus
from app.imports.directions import Imported, read_directions
from app.imports.errors import ImportRefusedError
from app.imports.neuronpedia import map_list, read_list
from app.imports.probes import read_probes
from app.imports.publishing import plan
from app.imports.releases import find_release
from app.imports.rows import Columns

__all__ = [
    "Columns",
    "Converted",
    "ImportRefusedError",
    "Imported",
    "catalog",
    "convert_corpus",
    "find_release",
    "map_list",
    "plan",
    "read_directions",
    "read_list",
    "read_probes",
]
