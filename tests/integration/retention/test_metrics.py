"""What is in the store is exported."""

from app.core.database import Database
from app.exporter.take import take_reading
from app.exporter.work import work
from tests.integration.retention.conftest import Line


def test_snapshots_and_their_bytes_are_exported(line: Line, database: Database) -> None:
    for name in ("c0", "c1", "c2"):
        line.evaluate(name)
    line.policy(keep_last=1)

    def values() -> dict[str, float]:
        with database.unit_of_work() as session:
            reading = take_reading(session, 5.0)
        return {
            sample.name: sample.value
            for metric in work(reading, {})
            for sample in metric.samples
            if sample.name.startswith("featuredrift_snapshot")
        }

    before = {"featuredrift_snapshots": 7.0, "featuredrift_snapshot_bytes": 2100.0}
    assert values() == before
    line.collect()
    assert values() == {"featuredrift_snapshots": 3.0, "featuredrift_snapshot_bytes": 900.0}
