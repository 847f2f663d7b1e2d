"""A stored snapshot that rots on disk costs one failed evaluation, not the monitor."""

from pathlib import Path

from sqlalchemy import select

from app.evaluations.ledger import retry_evaluation
from app.evaluations.tables import EvaluationSnapshot, Snapshot
from tests.support.deployment import SITE, World
from tests.support.models import save_checkpoint


def test_a_damaged_snapshot_is_reported_removed_and_captured_again_on_retry(
    world: World, checkpoints: dict[str, Path]
) -> None:
    probe = {"kind": "linear_probe", "name": "p", "site": SITE, "weights": [0.5] * 16}
    model = world.model()
    monitor = world.monitor(model, world.corpus(), feature_set=world.feature_set([probe]))
    base = world.checkpoint(model, checkpoints["base"])
    first = world.wait(world.evaluate(monitor, world.checkpoint(model, checkpoints["other"]), base))
    assert first.state == "succeeded", first.error
    with world.database.unit_of_work() as session:
        key = session.scalars(
            select(Snapshot.key)
            .join(EvaluationSnapshot, EvaluationSnapshot.snapshot_id == Snapshot.id)
            .where(
                EvaluationSnapshot.evaluation_id == first.id, EvaluationSnapshot.role == "baseline"
            )
        ).one()
    store = world.settings.data_dir / "artifacts" / "snapshots" / key
    shard = sorted(store.glob("shard-*.safetensors"))[0]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    third = world.checkpoint(model, save_checkpoint(world.models / "third", seed=3))
    second = world.evaluate(monitor, third, base)
    failed = world.wait(second)
    assert failed.state == "failed"
    assert failed.error is not None
    assert failed.error["code"] == "snapshot_corrupt"
    assert shard.name in failed.error["detail"]
    assert "retry" in failed.error["detail"]
    assert not store.exists()

    with world.database.unit_of_work() as session:
        retry_evaluation(session, second)
    again = world.wait(second)
    assert again.state == "succeeded", again.error
    assert shard.read_bytes() == whole
