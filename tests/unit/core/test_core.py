"""Digests, artifacts, settings and problem documents."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.artifacts import ArtifactStore
from app.core.digests import canonical_json, sha256_bytes, sha256_file, sha256_json
from app.core.errors import InvalidInputError, NotFoundError
from app.core.ids import new_id
from app.settings import Settings, redact
from tests.support.depth import DEPTH

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=30 * DEPTH)
@given(st.dictionaries(st.text(), JSON))
def test_key_order_never_changes_a_digest(value: dict[str, object]) -> None:
    backwards = dict(reversed(list(value.items())))
    try:
        assert sha256_json(value) == sha256_json(backwards)
    except UnicodeEncodeError:  # lone surrogates have no UTF-8, and so no digest
        assert any(0xD800 <= ord(c) <= 0xDFFF for c in repr(value)) or "\\ud" in repr(value)


def test_canonical_json_is_what_it_says() -> None:
    assert canonical_json({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_a_file_and_its_bytes_have_one_digest(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "f").write_bytes(data)
    assert sha256_file(tmp_path / "f") == sha256_bytes(data)


def test_ids_sort_by_creation() -> None:
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000


class TestArtifactStore:
    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        return ArtifactStore(tmp_path.as_uri())

    def test_what_is_written_is_read(self, store: ArtifactStore) -> None:
        store.write_bytes("a/b/c", b"one")
        store.write_bytes("a/b/c", b"two")
        assert store.read_bytes("a/b/c") == b"two"
        assert store.local_path("a/b/c").read_bytes() == b"two"
        assert list(store.list_keys("a")) == ["a/b/c"]
        store.delete_prefix("a/b")
        assert not store.exists("a/b/c")
        store.delete_prefix("a/b")

    @pytest.mark.parametrize("key", ["/etc/passwd", "../x", "a/../../x", ""])
    def test_no_key_leaves_the_store(self, store: ArtifactStore, key: str) -> None:
        with pytest.raises(ValueError, match="no artifact key"):
            store.write_bytes(key, b"x")

    def test_a_failed_write_leaves_nothing(
        self, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.write_bytes("a/b", b"old")

        def full(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            store.write_bytes("a/b", b"new")
        assert store.read_bytes("a/b") == b"old"
        assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]

    def test_a_remote_file_is_cached_whole(self, tmp_path: Path) -> None:
        store = ArtifactStore("memory://bucket/prefix", cache=tmp_path)
        store.write_bytes("x/y", b"remote")
        assert store.local_path("x/y").read_bytes() == b"remote"
        assert list(store.list_keys("x")) == ["x/y"]
        with pytest.raises(FileNotFoundError):
            store.local_path("x/z")
        assert [path.name for path in (tmp_path / "x").iterdir()] == ["y"]


class TestSettings:
    def test_passwords_are_never_printed(self) -> None:
        settings = Settings(
            DATABASE_URL="postgres://u:covert@h/d", REDIS_URL="redis://:hidden@h:1/0"
        )
        printed = str(settings.printable())
        assert "covert" not in printed
        assert "hidden" not in printed
        assert settings.database_url == "postgresql+psycopg://u:covert@h/d"

    def test_urls_without_a_password_stay(self) -> None:
        assert redact("redis://h:1/0") == "redis://h:1/0"

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"DATABASE_URL": "sqlite:///x"}, "Postgres is required"),
            ({"heartbeat_seconds": 40.0}, "at most half of"),
            ({"shard_soft_limit": 2000.0}, "must hold"),
            ({"port": 70000}, "65535"),
        ],
    )
    def test_settings_that_contradict_are_refused(
        self, values: dict[str, object], message: str
    ) -> None:
        with pytest.raises(ValidationError, match=message):
            Settings(**values)

    def test_roots_come_as_a_path_list(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FEATUREDRIFT_MODEL_ROOTS", "/a:/b/c")
        assert Settings().allowed_roots == (Path("/a"), Path("/b/c"))


def test_a_problem_names_field_and_value_and_cuts_long_ones() -> None:
    problem = InvalidInputError("too long", field="name", value="x" * 500).problem()
    assert problem["status"] == 422
    assert problem["type"].endswith(":invalid_input")
    assert problem["field"] == "name"
    assert len(problem["value"]) < 250
    assert "field" not in NotFoundError("gone", code="model_not_found").problem()
