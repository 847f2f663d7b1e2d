"""From an accepted evaluation to verdicts, through real servers and a real worker."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from app.evaluations.tables import Snapshot
from tests.support.deployment import World, features_of_all_kinds


@pytest.fixture(scope="module")
def shared(world: World, checkpoints: dict[str, Path]) -> dict[str, object]:
    """A model, a corpus and a dictionary that the tests of this module share."""
    model = world.model()
    return {
        "model": model,
        "corpus": world.corpus(),
        "dictionary": world.dictionary(checkpoints["dictionary"]),
        "base": world.checkpoint(model, checkpoints["base"]),
        "same": world.checkpoint(model, checkpoints["same"]),
        "other": world.checkpoint(model, checkpoints["other"]),
    }


def test_features_of_every_kind_are_judged_in_both_comparisons(world: World, shared: dict) -> None:
    features = world.feature_set(features_of_all_kinds(shared["dictionary"]))
    monitor = world.monitor(shared["model"], shared["corpus"], feature_set=features)
    evaluation = world.wait(
        world.evaluate(monitor, shared["other"], shared["base"], shared["same"])
    )
    assert (evaluation.state, evaluation.step, evaluation.error) == ("succeeded", "done", None)
    names = {f["name"] for f in features_of_all_kinds("d")}
    for comparison in ("baseline", "previous"):
        verdicts = world.verdicts(evaluation.id, comparison)
        assert set(verdicts) == names
        assert {v.verdict for v in verdicts.values()} == {"drifted"}
        assert verdicts["probe"].concept_auroc_baseline is not None
        assert verdicts["latent"].lower < verdicts["latent"].effect < verdicts["latent"].upper
    assert evaluation.summary["comparisons"]["baseline"]["counts"]["drifted"] == len(names)
    assert world.control(evaluation.id).passed
    assert {row.role for row in world.health(evaluation.id)} == {
        "candidate",
        "baseline",
        "previous",
    }


def test_the_same_weights_are_stable_and_share_the_snapshot(world: World, shared: dict) -> None:
    features = world.feature_set(features_of_all_kinds(shared["dictionary"]))
    monitor = world.monitor(shared["model"], shared["corpus"], feature_set=features)
    evaluation = world.wait(world.evaluate(monitor, shared["same"], shared["base"]))
    assert evaluation.state == "succeeded", evaluation.error
    sides = evaluation.summary["sides"]
    assert sides["candidate"]["snapshot_key"] == sides["baseline"]["snapshot_key"]
    verdicts = world.verdicts(evaluation.id)
    assert {v.verdict for v in verdicts.values()} == {"stable"}
    assert {v.effect for v in verdicts.values()} == {0.0}
    assert not world.verdicts(evaluation.id, "previous")


def test_a_whole_dictionary_is_judged_with_top_rows_and_an_artifact_of_all(
    world: World, shared: dict
) -> None:
    monitor = world.monitor(
        shared["model"],
        shared["corpus"],
        dictionary=shared["dictionary"],
        watchlist=["latent-3"],
    )
    evaluation = world.wait(world.evaluate(monitor, shared["other"], shared["base"]))
    assert evaluation.state == "succeeded", evaluation.error
    rows = world.verdicts(evaluation.id)
    assert "latent-3" in rows
    artifact = world.store.local_path(f"evaluations/{evaluation.id}/baseline.parquet")
    table = pq.read_table(artifact)
    assert table.num_rows == 24
    assert evaluation.summary["comparisons"]["baseline"]["features"] == 24
    with world.database.unit_of_work() as session:
        keys = session.scalars(select(Snapshot.key).where(Snapshot.state != "complete")).all()
    assert not keys
