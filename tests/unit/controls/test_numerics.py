"""Which null updates there are, and that only what does not repeat at all fails by them."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.models import save_checkpoint
from tests.unit.controls.conftest import TOKENS, Bench
from workers.capture.checkpoints import ResolvedCheckpoint, resolve_checkpoint
from workers.capture.numerics import detect_numerics
from workers.comparison import compare_snapshots
from workers.controls.numerics import judge, null_variants, unrepeatable
from workers.drift.noise import measure_floor
from workers.drift.policy import Policy
from workers.drift.verdicts import VerdictTable
from workers.snapshots import SnapshotReader


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> ResolvedCheckpoint:
    root = tmp_path_factory.mktemp("models")
    folder = save_checkpoint(root / "llama", "llama")
    return resolve_checkpoint(str(folder), None, roots=[root], cache=root / "cache")


def test_null_updates_change_one_thing_each(resolved: ResolvedCheckpoint) -> None:
    numerics = detect_numerics("float32", "sdpa", "cpu", 1, resolved)
    assert null_variants(numerics, 4096, resolved) == {
        "numerics_dtype": (replace(numerics, dtype="bfloat16"), 4096),
        "numerics_batch": (numerics, 2048),
        "numerics_attention": (replace(numerics, attn_implementation="eager"), 4096),
    }
    low = replace(numerics, dtype="bfloat16", attn_implementation="eager")
    found = null_variants(low, 1, resolved)
    assert found["numerics_dtype"][0].dtype == "float32"
    assert found["numerics_attention"][0].attn_implementation == "sdpa"
    assert "numerics_batch" not in found


def test_an_architecture_with_one_kernel_has_no_other(
    resolved: ResolvedCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaModel

    numerics = detect_numerics("float32", "eager", "cpu", 1, resolved)
    monkeypatch.setattr(LlamaModel, "_supports_sdpa", False)
    # Looked up once for each configuration: this one is another.
    other = replace(resolved, config_digest="of an architecture with one kernel")
    assert "numerics_attention" not in null_variants(numerics, 4096, other)


@pytest.fixture
def nulls(bench: Bench) -> dict[str, VerdictTable]:
    """Three features that repeat, move beyond their margin, and do not repeat; one too rare."""
    rng = bench.rng
    fires = np.where(rng.random((TOKENS, 3)) < 0.2, 1.0, 0)
    rare = np.zeros(TOKENS)
    rare[:10] = 1
    keeps = rng.random(TOKENS) < 0.6
    probe = rng.normal(size=TOKENS)

    def snapshot(name: str, moved: bool) -> VerdictTable | None:
        reader = bench.snapshot(
            name,
            {
                "exact": fires[:, 0],
                "moves": np.where(keeps | ~np.array(moved), fires[:, 1], 0),
                "chaotic": np.roll(fires[:, 2], 7 if moved else 0),
                "rare": np.roll(rare, 100 if moved else 0),
            },
            {"probe": probe},
        )
        if name == "baseline":
            readers.append(reader)
            return None
        return compare_snapshots(
            readers[0], reader, bench.corpus, Policy(), numerics_may_differ=True
        ).verdicts

    readers: list[SnapshotReader] = []
    snapshot("baseline", False)
    tables = {name: snapshot(name, name == "loud") for name in ("quiet", "loud")}
    return {name: table for name, table in tables.items() if table is not None}


def test_only_numbers_that_do_not_repeat_fail(nulls: dict[str, VerdictTable]) -> None:
    floor = measure_floor(nulls)
    outcome = judge(floor, nulls)
    assert {name: found.passed for name, found in outcome.features.items()} == {
        "exact": True,
        "moves": True,
        "chaotic": False,
        "rare": None,
        "probe": True,
    }
    assert outcome.passed is False
    moved = "the null update loud moved which tokens it fires on (identity_sparse) by"
    assert moved in outcome.features["chaotic"].detail
    assert outcome.figures["moved"] == 2
    assert outcome.figures["sources"] == {
        "quiet": {"moved": 0, "features": 5},
        "loud": {"moved": 2, "features": 5},
    }
    stored = {(f["estimand"], f["stratum"]): f for f in outcome.to_json()["figures"]["floors"]}
    assert {key: found["value"] for key, found in stored.items()} == {
        key: found.value for key, found in floor.items()
    }


def test_what_does_not_repeat_is_named_before_any_floor_is_set(
    nulls: dict[str, VerdictTable],
) -> None:
    assert unrepeatable(nulls) == {"chaotic"}
    assert unrepeatable({}) == frozenset()


def test_a_benign_mark_is_blamed_before_the_feature(nulls: dict[str, VerdictTable]) -> None:
    outcome = judge({}, {"numerics_batch": nulls["quiet"], "benign:step-7": nulls["loud"]})
    detail = outcome.features["chaotic"].detail
    assert outcome.features["chaotic"].passed is False
    assert "Checkpoint step-7, marked benign, moved which tokens it fires on" in detail
    assert "lift the mark" in detail
    assert outcome.detail.startswith(
        "1 null update of the same weights and 1 checkpoint marked benign would alone have moved"
    )


def test_a_margin_already_wide_moves_the_limit(nulls: dict[str, VerdictTable]) -> None:
    outcome = judge({}, nulls, Policy(identity_sparse=0.95, strength=0.95, rate=1.0))
    assert outcome.passed is True
    # No margin is so wide that strengths which agree no better than chance lie within it.
    assert outcome.figures["moved"] == 1


def test_without_null_updates_nothing_is_told() -> None:
    outcome = judge({}, {})
    assert (outcome.passed, outcome.detail) == (None, "No null update was captured.")
