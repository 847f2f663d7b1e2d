"""The cache of remote files stays below its size, and takes nothing from who is using it."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from app.core.artifacts import ArtifactStore
from app.core.file_cache import GRACE, FileCache
from app.settings import Settings
from tests.support.cache_users import SIZE, age, hammer, put, write_slowly
from workers.pipeline.context import make_context


def held(cache: FileCache) -> set[str]:
    found = (path for path in cache.folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(cache.folder)) for path in found}


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path, limit=3 * SIZE)


def test_the_least_recently_used_go_first_and_leave_no_empty_folder(cache: FileCache) -> None:
    for number in range(3):
        age(cache.get(f"s{number}/f", put), GRACE * (10 - number))
    cache.get("s0/f", put)
    cache.get("s3/f", put)

    assert held(cache) == {"s0/f", "s2/f", "s3/f"}
    assert not (cache.folder / "s1").exists()


def test_what_was_just_handed_out_stays_even_beyond_the_size(cache: FileCache) -> None:
    for number in range(5):
        age(cache.get(f"f{number}", put), GRACE - 60)

    assert len(held(cache)) == 5


def test_without_a_limit_nothing_goes(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    for number in range(5):
        age(cache.get(f"f{number}", put), GRACE * 10)

    assert len(held(cache)) == 5


@pytest.mark.parametrize("end", [Connection.send, None], ids=["goes on", "is killed"])
def test_what_another_process_writes_stays_until_it_is_gone(
    cache: FileCache, end: Callable[[Connection, str], None] | None
) -> None:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    writer = spawn.Process(target=write_slowly, args=(cache.folder, theirs))
    writer.start()
    unfinished = ours.recv()
    for number in range(4):
        age(cache.get(f"f{number}", put), GRACE * 5)
    cache.get("last", put)
    assert unfinished in held(cache)

    if end is not None:
        end(ours, "go on")
        assert ours.recv() == "done"
        assert (cache.folder / "slow").stat().st_size == SIZE
    else:
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    for number in range(4):
        age(cache.get(f"g{number}", put), GRACE * 5)
    cache.get("end", put)
    assert unfinished not in held(cache)


def test_several_processes_share_a_folder(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=hammer, args=(tmp_path, seed)) for seed in (2, 3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0]


def test_a_store_keeps_its_copies_below_the_size(tmp_path: Path) -> None:
    store = ArtifactStore("memory://capped", tmp_path, cache_bytes=2 * SIZE)
    for number in range(4):
        store.write_bytes(f"f{number}", b"x" * SIZE)
        age(store.local_path(f"f{number}"), GRACE * 2)

    # The last one was new when it was made room for.
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "f2", "f3"}


def test_a_reader_that_finds_its_copy_gone_gets_it_again(tmp_path: Path) -> None:
    store = ArtifactStore("memory://gone", tmp_path)
    store.write_bytes("a/b", b"content")
    tries = []

    def read(path: Path) -> bytes:
        tries.append(path)
        if len(tries) == 1:
            path.unlink()
        return path.read_bytes()

    assert store.read_local("a/b", read) == b"content"
    assert len(tries) == 2


def test_a_file_that_the_reader_misses_elsewhere_is_not_asked_for_twice(tmp_path: Path) -> None:
    store = ArtifactStore("memory://elsewhere", tmp_path)
    store.write_bytes("a/b", b"content")
    tries = []

    def read(path: Path) -> bytes:
        tries.append(path)
        return (tmp_path / "another").read_bytes()

    with pytest.raises(FileNotFoundError):
        store.read_local("a/b", read)
    assert len(tries) == 1


def test_workers_take_the_size_from_the_settings(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, artifact_url="memory://w", artifact_cache_bytes=SIZE)
    store = make_context(settings).store
    for number in range(2):
        store.write_bytes(f"f{number}", b"x" * SIZE)
        age(store.local_path(f"f{number}"), GRACE * 2)
    store.write_bytes("last", b"x")
    store.local_path("last")

    assert {path.name for path in (tmp_path / "cache/artifacts").iterdir()} == {".lock", "last"}
