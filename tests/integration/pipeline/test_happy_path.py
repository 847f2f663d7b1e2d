"""From an accepted evaluation to verdicts, through real servers and a real worker."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from app.core.errors import NotFoundError
from app.evaluations.ledger import cancel_evaluation
from app.evaluations.tables import Snapshot
from app.registry.documents import parse_jsonl
from app.verdicts.passages import corpus_of, read_passages
from app.verdicts.tables import DOES_NOT_APPLY, Control
from tests.support.deployment import (
    CONTROLS_TO_CHOOSE,
    World,
    features_of_all_kinds,
    save_dictionary,
    wait_for,
)
from workers.pipeline.results import TOP_ROWS


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


def test_passages_read_as_the_documents_do(world: World, shared: dict) -> None:
    features = world.feature_set(features_of_all_kinds(shared["dictionary"]))
    monitor = world.monitor(shared["model"], shared["corpus"], feature_set=features)
    evaluation = world.wait(world.evaluate(monitor, shared["other"], shared["base"]))
    with world.database.unit_of_work() as session:
        corpus = corpus_of(session, evaluation.id)
    texts = {d.id: d.text for d in parse_jsonl(world.store.read_bytes(corpus.artifact_key))}
    (found,) = read_passages(world.store, evaluation.id, corpus, "baseline", ["probe"])
    assert {p.kind for p in found.passages} == {"changed", "strongest"}
    for passage in found.passages:
        shown = "".join(unit.text for unit in passage.units)
        assert shown == texts[passage.document][passage.start : passage.end]
        moved = [abs(u.candidate - u.baseline) for u in passage.units]
        if passage.kind == "changed":
            assert moved[passage.peak] == max(moved) > 0
    with pytest.raises(NotFoundError, match="has no passages"):
        read_passages(world.store, evaluation.id, corpus, "previous")


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
    latents = TOP_ROWS + 100
    wide = world.dictionary(save_dictionary(world.models / "wide", d_sae=latents))
    watched = [f"latent-{index}" for index in range(0, latents, 3)]
    chosen = dict.fromkeys(CONTROLS_TO_CHOOSE, False) | {"random_features": True}
    monitor = world.monitor(
        shared["model"], shared["corpus"], dictionary=wide, watchlist=watched, controls=chosen
    )
    evaluation = world.wait(world.evaluate(monitor, shared["other"], shared["base"]))
    assert evaluation.state == "succeeded", evaluation.error
    rows = world.verdicts(evaluation.id)
    assert TOP_ROWS < len(rows) < latents
    assert set(watched) <= set(rows)
    table = pq.read_table(world.store.local_path(f"evaluations/{evaluation.id}/baseline.parquet"))
    assert table.num_rows == latents
    summary = evaluation.summary["comparisons"]["baseline"]
    assert summary["features"] == sum(summary["counts"].values()) == latents
    stored = dict(zip(table["feature"].to_pylist(), table["verdict"].to_pylist(), strict=True))
    assert {name: row.verdict for name, row in rows.items()}.items() <= stored.items()
    with world.database.unit_of_work() as session:
        controls = session.scalars(select(Control).where(Control.evaluation_id == evaluation.id))
        found = {row.control: row for row in controls}
    # Latents claim no concept: the control says so, and is not silent.
    assert set(found) == {"no_op", "random_features"}
    assert found["random_features"].passed is None
    assert found["random_features"].figures == DOES_NOT_APPLY
    assert "claims a concept" in found["random_features"].detail


def test_two_evaluations_at_once_compute_their_common_baseline_once(
    world: World, shared: dict
) -> None:
    world.forget_snapshots()
    features = world.feature_set(features_of_all_kinds(shared["dictionary"]))
    monitor = world.monitor(shared["model"], shared["corpus"], feature_set=features)
    first = world.evaluate(monitor, shared["other"], shared["base"])
    second = world.evaluate(monitor, shared["same"], shared["base"])
    for evaluation_id in (first, second):
        assert world.wait(evaluation_id).state == "succeeded"
    with world.database.unit_of_work() as session:
        snapshots = session.scalars(select(Snapshot)).all()
    purposes = sorted(snapshot.inputs["purpose"] for snapshot in snapshots)
    # "same" holds the weights of "base": one snapshot serves both, and each control has its own.
    assert purposes == ["features", "features", "no_op", "no_op"]
    assert {shard.attempt for shard in world.shards()} == {1}


def test_a_cancelled_evaluation_stays_cancelled_and_the_worker_goes_on(
    world: World, shared: dict
) -> None:
    world.forget_snapshots()
    features = world.feature_set(features_of_all_kinds(shared["dictionary"]))
    monitor = world.monitor(shared["model"], shared["corpus"], feature_set=features)
    evaluation_id = world.evaluate(monitor, shared["other"], shared["base"])
    wait_for(lambda: any(shard.kind == "capture" for shard in world.shards()))
    with world.database.unit_of_work() as session:
        cancel_evaluation(session, evaluation_id)
    wait_for(lambda: not any(s.state in ("queued", "running") for s in world.shards()))
    assert world.evaluation(evaluation_id).state == "cancelled"
    assert not world.verdicts(evaluation_id)
    again = world.wait(world.evaluate(monitor, shared["other"], shared["base"]))
    assert again.state == "succeeded", again.error
