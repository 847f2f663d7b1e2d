"""Workers copy remote artifacts and checkpoints to a place that they may write."""

import re
from pathlib import PurePosixPath
from typing import Any

import pytest

from tests.unit.deploy import compose, helm
from tests.unit.deploy.installed import ROOT

ARTIFACTS = PurePosixPath("/var/lib/featuredrift/artifacts")


def image_variables(name: str) -> dict[str, str]:
    """What the image's last stage sets."""
    text = (ROOT / "deploy" / f"Dockerfile.{name}").read_text().rpartition("\nFROM")[2]
    return dict(re.findall(r"^(?:ENV)?\s+([A-Z_]+)=(\S+)", text, re.MULTILINE))


WORKER = image_variables("worker")
# As the worker's context makes it.
CACHE = PurePosixPath(WORKER["FEATUREDRIFT_DATA_DIR"]) / "cache"


def is_within(place: PurePosixPath, mounts: list[PurePosixPath]) -> bool:
    return any(place.is_relative_to(mount) for mount in mounts)


@pytest.mark.parametrize("name", ["worker", "gpu-worker"])
def test_on_a_read_only_root_the_cache_is_a_volume(name: str) -> None:
    service = compose.load()["services"][name]
    writable = [
        PurePosixPath(volume.split(":")[1])
        for volume in service["volumes"]
        if isinstance(volume, str) and not volume.endswith(":ro")
    ]

    assert "FEATUREDRIFT_DATA_DIR" not in compose.environment(service)
    assert is_within(CACHE, writable)
    assert is_within(ARTIFACTS, writable)


@pytest.mark.parametrize(
    "artifacts", [{"url": "s3://bucket/featuredrift"}, {"url": "", "existingClaim": "artifacts"}]
)
@pytest.mark.parametrize("component", ["worker", "gpu-worker"])
def test_in_a_pod_too(component: str, artifacts: dict[str, Any]) -> None:
    kinds = {"worker": {"enabled": component == "worker"}}
    kinds["gpuWorker"] = {"enabled": component == "gpu-worker"}
    pod = helm.pods(helm.render({"artifacts": artifacts, **kinds}))[component]
    (container,) = pod["containers"]
    writable = [
        PurePosixPath(mount["mountPath"])
        for mount in container["volumeMounts"]
        if not mount.get("readOnly")
    ]

    assert "FEATUREDRIFT_DATA_DIR" not in {one["name"] for one in container["env"]}
    assert is_within(CACHE, writable)
    assert is_within(ARTIFACTS, writable) == ("existingClaim" in artifacts)


def test_both_images_mean_the_same_place_by_default() -> None:
    api = image_variables("api")

    assert WORKER["FEATUREDRIFT_ARTIFACT_URL"] == f"file://{ARTIFACTS}"
    assert "FEATUREDRIFT_ARTIFACT_URL" not in api
    assert PurePosixPath(api["FEATUREDRIFT_DATA_DIR"]) / "artifacts" == ARTIFACTS


@pytest.mark.parametrize(
    ("size", "cap"),
    [("50Gi", 25 << 30), ("1.5Ti", 768 << 30), ("300Mi", 150 << 20), ("64Ki", 32 << 10)],
)
def test_copies_of_artifacts_stay_below_the_pods_volume(size: str, cap: int) -> None:
    pod = helm.pods(helm.render({"worker": {"cacheSize": size}}))["worker"]
    (volume,) = (one for one in pod["volumes"] if one["name"] == "cache")
    environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}

    assert volume["emptyDir"]["sizeLimit"] == size
    assert environment["FEATUREDRIFT_ARTIFACT_CACHE_BYTES"] == str(cap)


def test_a_cap_that_is_set_is_kept() -> None:
    pod = helm.pods(helm.render({"settings": {"ARTIFACT_CACHE_BYTES": "1000"}}))["worker"]
    names = [one["name"] for one in pod["containers"][0]["env"]]

    assert names.count("FEATUREDRIFT_ARTIFACT_CACHE_BYTES") == 1
