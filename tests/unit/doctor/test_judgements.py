"""What `featuredrift doctor` makes of what it sees."""

from typing import Any

import pytest

from app.cli.doctor.accelerator import judge_gpu
from app.cli.doctor.configuration import check_settings
from app.cli.doctor.database import judge_skew
from app.cli.doctor.processes import Work, judge_work
from app.cli.doctor.storage import judge_space
from app.cli.doctor.versions import check_versions, unmet
from app.settings import Settings

IDLE = {"dispatchers": 1, "held": 0, "connected": 0, "consumers": 1, "queued": 0, "oldest": 0.0}


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(0.0, "ok"), (-1.9, "ok"), (2.0, "warn"), (-299.0, "warn"), (300.0, "fail"), (-1e6, "fail")],
)
def test_clocks(seconds: float, status: str) -> None:
    assert judge_skew(seconds).status == status


@pytest.mark.parametrize(("gib", "status"), [(500, "ok"), (9.9, "warn"), (0.9, "fail")])
def test_space(gib: float, status: str) -> None:
    assert judge_space("/data", int(gib * 2**30)).status == status


@pytest.mark.parametrize(
    ("changes", "dispatcher", "worker"),
    [
        ({}, "ok", "ok"),
        ({"consumers": 0}, "ok", "warn"),
        ({"consumers": None}, "ok", "warn"),
        ({"consumers": 0, "queued": 3}, "ok", "fail"),
        ({"consumers": 0, "held": 1, "queued": 3}, "ok", "ok"),
        ({"consumers": 0, "connected": 1}, "ok", "ok"),
        ({"dispatchers": 0}, "warn", "ok"),
        ({"dispatchers": 0, "queued": 1}, "fail", "ok"),
        ({"queued": 5, "oldest": 301.0}, "ok", "fail"),
        ({"queued": 5, "oldest": 301.0, "held": 1}, "ok", "ok"),
    ],
)
def test_who_works(changes: dict[str, Any], dispatcher: str, worker: str) -> None:
    found = {one.check: one.status for one in judge_work(Work(**{**IDLE, **changes}))}
    assert found == {"dispatcher": dispatcher, "worker": worker}


GPU = {"name": "GPU", "free": 70 << 30, "total": 80 << 30, "bfloat16": True}


@pytest.mark.parametrize(
    ("found", "values", "status"),
    [
        ({}, {}, "ok"),
        ({}, {"device": "cuda"}, "fail"),
        ({}, {"dtype": "float16"}, "warn"),
        ({"error": "RuntimeError: driver too old"}, {}, "fail"),
        ({"devices": [GPU]}, {}, "ok"),
        ({"devices": [GPU]}, {"device": "cpu"}, "warn"),
        ({"devices": [{**GPU, "free": 1 << 30}]}, {}, "warn"),
        ({"devices": [{**GPU, "bfloat16": False}]}, {"dtype": "bfloat16"}, "fail"),
        ({"devices": [{**GPU, "bfloat16": False}]}, {"dtype": "float16"}, "ok"),
    ],
)
def test_accelerators(found: dict[str, Any], values: dict[str, Any], status: str) -> None:
    probe = {"torch": "2.13.0", "built_for": None, "devices": [], "error": None, **found}
    if probe["devices"]:
        probe |= {"built_for": "12.8", "driver": 12080}
    finding = judge_gpu(probe, Settings(**values))
    assert finding.status == status
    assert bool(finding.advice) == (status != "ok")


@pytest.mark.parametrize(
    ("values", "word", "status"),
    [
        ({"host": "0.0.0.0"}, "HOST=0.0.0.0", "fail"),  # noqa: S104 - refused
        ({"batch_tokens": 64}, "BATCH_TOKENS=64", "warn"),
        ({"tokens_per_shard": 64}, "TOKENS_PER_SHARD=64", "warn"),
        ({"republish_after": 0.1}, "REPUBLISH_AFTER=0.1", "warn"),
        ({"port": 9321}, "9321", "fail"),
        ({"device": "cpu", "dtype": "float16"}, "DTYPE=float16", "warn"),
    ],
)
def test_settings_that_contradict_each_other(
    values: dict[str, Any], word: str, status: str
) -> None:
    found = [one for one in check_settings(Settings(**values), {}) if one.check == "settings"]
    assert [(one.status, word in one.seen) for one in found] == [(status, True)]


def test_a_variable_that_nobody_reads_is_named_with_the_one_that_was_meant() -> None:
    environment = {"FEATUREDRIFT_LEASE_SECOND": "5", "FEATUREDRIFT_LEASE_SECONDS": "60"}
    found = [one for one in check_settings(Settings(), environment) if one.status == "warn"]
    (typo,) = [one for one in found if one.check == "settings"]
    assert "FEATUREDRIFT_LEASE_SECOND " in typo.seen
    assert "FEATUREDRIFT_LEASE_SECONDS" in typo.advice


def test_links_that_nobody_else_can_follow() -> None:
    def status(**values: Any) -> str:
        found = check_settings(Settings(**values), {})
        return next(one.status for one in found if one.check == "public url")

    allowed = {"host": "0.0.0.0", "allow_unauthenticated_bind": True}  # noqa: S104 - allowed
    assert status() == "warn"
    assert status(public_url="https://drift.example.com") == "ok"
    assert status(public_url="http://localhost:8321", **allowed) == "warn"


def test_versions_against_what_the_release_asks_for() -> None:
    lines = [
        "pytest>=1",
        "pytest<1",
        "no-such-package>=2",
        'no-such-worker; extra == "worker"',
        'pytest<2; extra == "dev"',
        "???",
    ]
    assert list(unmet(lines, ("",))) == [
        f"pytest is {pytest.__version__}, not <1",
        "no-such-package is missing (>=2)",
        "'???' cannot be read",
    ]
    assert "no-such-worker is missing (any version)" in list(unmet(lines, ("", "worker")))


def test_this_environment_is_as_the_release_asks() -> None:
    (finding,) = check_versions()
    assert (finding.status, finding.advice) == ("ok", "")
