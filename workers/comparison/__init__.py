"""Two snapshots in, verdicts out: checks, pairing, streaming, and the artifact of the result."""

from workers.comparison.compare import ComparisonResult, compare_snapshots
from workers.comparison.corpus import CorpusLabels
from workers.comparison.noop import NoOpResult, identical
from workers.comparison.parquet import write_parquet

__all__ = [
    "ComparisonResult",
    "CorpusLabels",
    "NoOpResult",
    "compare_snapshots",
    "identical",
    "write_parquet",
]
