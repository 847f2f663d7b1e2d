"""What could grow in a soak, looked at every few seconds, and what must not have grown."""

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import psutil
from sqlalchemy import text

from tests.crash.stage import Stage

GROWTH = 1.25
"""The last third's median may be so many times the first third's."""
LEFT_BY_KILLS = "half-written files"
"""What a kill may leave, and the collector removes: it may grow with the kills."""


@dataclass(frozen=True)
class Watched:
    """The processes of one sample: workers' parents, their children by parent, the dispatcher."""

    parents: list[int]
    spared: int
    """The parent that nothing is done to, nor to its child: what leaks slowly shows there."""
    dispatcher: int | None


@dataclass
class Samples:
    """One row for each look; processor time for each process ever seen."""

    stage: Stage
    rows: list[dict[str, float]] = field(default_factory=list)
    _processor: dict[tuple[int, float], float] = field(default_factory=dict)

    def take(self, watched: Watched) -> None:
        """Look once."""
        with self.stage.world.database.unit_of_work() as session:
            connections = session.scalar(text("SELECT count(*) FROM pg_stat_activity"))
        with self.stage.client() as redis:
            clients = redis.info("clients")["connected_clients"]
            broker = redis.info("memory")["used_memory"]
        parents = list(_alive(watched.parents))
        children = [child for parent in parents for child in _children(parent)]
        spared = [child for one in _alive([watched.spared]) for child in _children(one)]
        dispatcher = list(_alive([watched.dispatcher] if watched.dispatcher else []))
        servers = list(_alive([self.stage.postgres.child.pid, self.stage.redis.child.pid]))
        servers += [child for one in servers for child in _children(one)]
        self._count([*parents, *children, *dispatcher, *servers])
        temporary = sum(
            key.endswith(".tmp") for key in self.stage.world.store.list_keys("snapshots")
        )
        self.rows.append(
            {
                "memory of a worker's parent (MiB)": _mean(_memory(parents)),
                "memory of a worker's child (MiB)": _mean(_memory(children)),
                "memory of the child that is spared (MiB)": _mean(_memory(spared)),
                "memory of the dispatcher (MiB)": _mean(_memory(dispatcher)),
                "memory that Redis uses (MiB)": broker / 2**20,
                "files open in a worker's process": _mean(_files([*parents, *children])),
                "files open in the dispatcher": _mean(_files(dispatcher)),
                "connections to Postgres": float(connections or 0),
                "connections to Redis": float(clients),
                LEFT_BY_KILLS: float(temporary),
            }
        )

    @property
    def processor_seconds(self) -> float:
        """Of all processes, servers included; what a killed one did after its last sample lacks."""
        return sum(self._processor.values())

    def _count(self, processes: Iterable[psutil.Process]) -> None:
        for process in processes:
            try:
                times = process.cpu_times()
                self._processor[process.pid, process.create_time()] = times.user + times.system
            except psutil.Error:
                continue

    def report(self) -> tuple[list[str], list[str]]:
        """A table of first and last thirds, and what has grown."""
        third = len(self.rows) // 3
        if not third:
            return ["too short for samples"], []
        table = [
            f"| {len(self.rows)} samples, medians | first third | last third |",
            "|---|---|---|",
        ]
        grown = []
        for name in self.rows[0]:
            first, last = (
                statistics.median(row[name] for row in part)
                for part in (self.rows[:third], self.rows[-third:])
            )
            table.append(f"| {name} | {first:.1f} | {last:.1f} |")
            if name != LEFT_BY_KILLS and last > GROWTH * first + 2:
                grown.append(f"{name} grew from {first:.1f} to {last:.1f}")
        return table, grown


def _alive(pids: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        try:
            yield psutil.Process(pid)
        except psutil.NoSuchProcess:
            continue


def _children(parent: psutil.Process) -> list[psutil.Process]:
    try:
        return parent.children()
    except psutil.NoSuchProcess:
        return []


def _memory(processes: Iterable[psutil.Process]) -> Iterator[float]:
    for process in processes:
        try:
            yield process.memory_info().rss / 2**20
        except psutil.Error:
            continue


def _files(processes: Iterable[psutil.Process]) -> Iterator[float]:
    for process in processes:
        try:
            yield float(process.num_fds())
        except psutil.Error:
            continue


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.mean(found) if found else 0.0
