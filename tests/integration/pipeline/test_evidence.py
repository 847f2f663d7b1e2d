"""Controls, noise floor, baselines, causal effects, diagnosis and repair, through real workers."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app.evaluations.tables import EvaluationSnapshot
from app.monitors.tables import PageBudgetEntry
from app.registry.documents import parse_objects
from app.registry.perturbations import with_variants
from app.registry.tables import Checkpoint, Feature
from app.repairs import service as repairs
from app.repairs.schemas import Decision
from app.repairs.tables import Repair
from app.verdicts.tables import CONTROLS, Control
from tests.support.deployment import World, documents, features_of_all_kinds
from tests.support.models import random_model, train_tokenizer
from workers.demo.checkpoints import rotate

ALL = dict.fromkeys(
    ("randomised_model", "numerics", "random_features", "permuted_labels", "shuffled_pairing"), True
)
EVERYTHING: dict[str, Any] = {
    "controls": ALL,
    "baselines": True,
    "diagnosis": True,
    "causal": {"features": ["latent", "probe", "neuron", "composite"], "tokens": 2048},
}


@pytest.fixture(scope="module")
def rotated(world: World) -> Path:
    """The base with its residual stream turned, the function being the same."""
    model = random_model("llama")
    rotate(model, seed=3)
    folder = world.models / "rotated"
    model.save_pretrained(folder)
    train_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def line(world: World, checkpoints: dict[str, Path], rotated: Path) -> dict[str, Any]:
    model = world.model()
    dictionary = world.dictionary(checkpoints["dictionary"])
    corpus = world.corpus(documents(120))
    features = world.feature_set(features_of_all_kinds(dictionary))
    return {
        "corpus": corpus,
        "features": features,
        "monitor": world.monitor(model, corpus, feature_set=features, **EVERYTHING),
        "base": world.checkpoint(model, checkpoints["base"]),
        "same": world.checkpoint(model, checkpoints["same"]),
        "other": world.checkpoint(model, checkpoints["other"]),
        "rotated": world.checkpoint(model, rotated),
        "model": model,
    }


@pytest.fixture(scope="module")
def evaluated(world: World, line: dict[str, Any]) -> UUID:
    """The rotated checkpoint against the base, with everything asked for."""
    evaluation = world.wait(
        world.evaluate(line["monitor"], line["rotated"], line["base"]), timeout=240
    )
    assert evaluation.state == "succeeded", evaluation.error
    return evaluation.id


def test_every_control_leaves_a_row_with_its_figures(world: World, evaluated: UUID) -> None:
    with world.database.unit_of_work() as session:
        rows = session.scalars(select(Control).where(Control.evaluation_id == evaluated)).all()
    found = {row.control: row for row in rows}
    assert set(found) == set(CONTROLS)
    assert all(row.detail for row in rows)
    assert found["no_op"].passed is True
    assert found["randomised_model"].figures["judged"] > 0
    assert set(found["numerics"].figures["sources"]) == {
        "numerics_dtype",
        "numerics_batch",
        "numerics_attention",
    }


def test_a_verdict_row_carries_all_its_evidence(world: World, evaluated: UUID) -> None:
    rows = world.verdicts(evaluated)
    assert all(row.controls for row in rows.values())
    assert all(row.pages and not row.slow_drift for row in rows.values())
    assert {row.token_level for row in rows.values()} <= {True, False, None}
    probe = rows["probe"]
    assert probe.earns_keep in ("yes", "no", "not_shown")
    assert set(probe.baselines) >= {"probe", "difference_of_means", "token_lookup", "reason"}
    assert rows["neuron"].baselines is None  # it claims no concept
    assert probe.drift_score is None or 0 <= probe.drift_score <= 1
    assert rows["composite"].causal_verdict == "not_applicable"
    assert rows["probe"].causal_verdict in ("causal", "correlational", "not_shown")
    assert rows["direction"].causal is None  # it was not asked about


def test_a_rotation_is_diagnosed_and_its_repair_published_by_one_call(
    world: World, line: dict[str, Any], evaluated: UUID
) -> None:
    rows = world.verdicts(evaluated)
    assert rows["direction"].verdict == rows["neuron"].verdict == "drifted"
    for name in ("direction", "neuron"):
        assert rows[name].diagnosis == "rotated", rows[name].diagnosis_evidence
    with world.database.unit_of_work() as session:
        repair = session.scalars(select(Repair).where(Repair.evaluation_id == evaluated)).one()
        changed = {change["feature"]: change for change in repair.changes}
        assert {"direction", "neuron"} <= set(changed)
        assert changed["direction"]["evidence"]["held_out"]["verdict"] == "stable"
        accepted = repairs.accept(session, repair.id, Decision(by="somebody", note="read it"))
        version = accepted.feature_set_version_id
    with world.database.unit_of_work() as session:
        published = session.scalars(
            select(Feature).where(Feature.feature_set_version_id == version)
        ).all()
    assert {feature.name for feature in published} == set(rows)
    new = next(feature for feature in published if feature.name == "direction")
    assert new.definition["vector"] == changed["direction"]["new"]["vector"]
    # The repaired features on the rotated model read what the old ones read on the base.
    monitor = world.monitor(line["model"], line["corpus"], feature_set=version)
    again = world.wait(world.evaluate(monitor, line["rotated"], line["rotated"]))
    assert again.state == "succeeded", again.error
    for name in ("direction", "neuron"):
        assert world.verdicts(again.id)[name].firing_ratio_baseline == pytest.approx(
            rows[name].firing_ratio_baseline, abs=0.005
        )


def test_a_feature_that_reads_its_concept_no_better_than_chance_is_untrusted(
    world: World, evaluated: UUID
) -> None:
    """The probe's weights have nothing to do with the concept that it claims."""
    probe = world.verdicts(evaluated)["probe"]
    assert probe.verdict == "untrusted"
    assert "random_features" in probe.reason
    assert probe.controls["random_features"]["passed"] is False


def test_controls_on_a_baseline_are_captured_once(
    world: World, line: dict[str, Any], evaluated: UUID
) -> None:
    second = world.wait(world.evaluate(line["monitor"], line["other"], line["base"]), timeout=240)
    assert second.state == "succeeded", second.error

    def controls(evaluation: UUID) -> dict[str, UUID]:
        with world.database.unit_of_work() as session:
            links = session.execute(
                select(EvaluationSnapshot.role, EvaluationSnapshot.snapshot_id).where(
                    EvaluationSnapshot.evaluation_id == evaluation,
                    EvaluationSnapshot.role.regexp_match("^(random|numerics)_|^causal_baseline"),
                )
            )
            return dict(links.tuples().all())

    assert len(controls(evaluated)) == 7
    assert controls(second.id) == controls(evaluated)
    with world.database.unit_of_work() as session:
        shares = session.execute(
            select(PageBudgetEntry.ordinal, PageBudgetEntry.alpha)
            .where(PageBudgetEntry.monitor_id == line["monitor"])
            .order_by(PageBudgetEntry.ordinal)
        ).all()
    assert [row.ordinal for row in shares] == [1, 2]


def test_equal_weights_have_no_effect_and_no_repair(world: World, line: dict[str, Any]) -> None:
    evaluation = world.wait(world.evaluate(line["monitor"], line["same"], line["base"]))
    assert evaluation.state == "succeeded", evaluation.error
    rows = world.verdicts(evaluation.id)
    assert {row.effect for row in rows.values()} == {0.0}
    assert not any(row.paged or row.diagnosis for row in rows.values())
    with world.database.unit_of_work() as session:
        made = select(func.count()).where(Repair.evaluation_id == evaluation.id)
        assert session.scalar(made) == 0


def test_a_benign_checkpoint_sets_the_noise_that_others_are_judged_by(
    world: World, line: dict[str, Any]
) -> None:
    with world.database.unit_of_work() as session:
        session.execute(
            update(Checkpoint).where(Checkpoint.id == line["other"]).values(benign=True)
        )
        benign = session.get_one(Checkpoint, line["other"]).name
    monitor = world.monitor(line["model"], line["corpus"], feature_set=line["features"])
    evaluation = world.wait(world.evaluate(monitor, line["rotated"], line["base"]))
    assert evaluation.state == "succeeded", evaluation.error
    rows = world.verdicts(evaluation.id)
    sources = {e["margin_source"] for row in rows.values() for e in row.estimates.values()}
    assert f"noise_floor:benign:{benign}" in sources
    assert rows["probe"].margin > 0
    # Fresh weights are no harmless change: what they move that far cannot be judged.
    assert rows["direction"].verdict == "untrusted"
    assert f"Checkpoint {benign}, marked benign" in rows["direction"].reason
    with world.database.unit_of_work() as session:
        session.execute(
            update(Checkpoint).where(Checkpoint.id == line["other"]).values(benign=False)
        )


def test_a_benign_checkpoint_that_is_gone_is_left_out_with_the_reason(
    world: World, line: dict[str, Any], tmp_path: Path
) -> None:
    gone = world.checkpoint(line["model"], world.models / "never-there", benign=True)
    monitor = world.monitor(line["model"], line["corpus"], feature_set=line["features"])
    evaluation = world.wait(world.evaluate(monitor, line["same"], line["base"]))
    assert evaluation.state == "succeeded", evaluation.error
    assert "never-there" in str(evaluation.summary["without_benign"])
    with world.database.unit_of_work() as session:
        session.execute(update(Checkpoint).where(Checkpoint.id == gone).values(benign=False))


def test_a_whole_dictionary_is_judged_with_every_control(
    world: World, line: dict[str, Any], checkpoints: dict[str, Path]
) -> None:
    name = world.dictionary(checkpoints["dictionary"])
    monitor = world.monitor(line["model"], line["corpus"], dictionary=name, **EVERYTHING)
    evaluation = world.wait(world.evaluate(monitor, line["rotated"], line["base"]), timeout=240)
    assert evaluation.state == "succeeded", evaluation.error
    rows = world.verdicts(evaluation.id)
    drifted = [row for row in rows.values() if row.verdict == "drifted"]
    assert drifted
    assert {row.diagnosis for row in drifted} == {"rotated"}
    summary = evaluation.summary["comparisons"]["baseline"]
    assert summary["drift_score_quantiles"]["0.5"] > 0
    with world.database.unit_of_work() as session:
        repair = session.scalars(select(Repair).where(Repair.evaluation_id == evaluation.id)).one()
        assert repair.base_feature_set_version_id is None
        assert len(repair.dictionaries) == 1


def test_agreement_across_variants_is_told_for_both_sides(
    world: World, line: dict[str, Any]
) -> None:
    originals = parse_objects(documents(60))
    values = [one.to_json() for one in with_variants(originals, ["case", "prefix"])]
    monitor = world.monitor(line["model"], world.corpus(values), feature_set=line["features"])
    evaluation = world.wait(world.evaluate(monitor, line["rotated"], line["base"]))
    assert evaluation.state == "succeeded", evaluation.error
    found = world.verdicts(evaluation.id)["direction"].robustness
    assert set(found) == {"all", "case", "prefix"}
    assert found["prefix"]["pairs"] == 60
    # A line of text before the document changes its mean activation less than another case does.
    assert found["case"]["baseline"] < found["prefix"]["baseline"] <= 1
    row = world.verdicts(evaluation.id)["direction"]
    assert "robustness" in row.estimates


def test_a_copy_of_the_candidate_marked_benign_does_not_excuse_it(
    world: World, line: dict[str, Any], rotated: Path
) -> None:
    copy = world.checkpoint(line["model"], rotated, benign=True)
    monitor = world.monitor(line["model"], line["corpus"], feature_set=line["features"])
    evaluation = world.wait(world.evaluate(monitor, line["rotated"], line["base"]))
    assert evaluation.state == "succeeded", evaluation.error
    (reason,) = (
        why for why in evaluation.summary["without_benign"].values() if "own weights" in why
    )
    assert "never sets the noise" in reason
    assert world.verdicts(evaluation.id)["direction"].verdict == "drifted"
    with world.database.unit_of_work() as session:
        session.execute(update(Checkpoint).where(Checkpoint.id == copy).values(benign=False))


def test_a_previous_checkpoint_that_is_the_baseline_pages_once(
    world: World, line: dict[str, Any]
) -> None:
    evaluation = world.wait(
        world.evaluate(line["monitor"], line["rotated"], line["base"], previous=line["base"]),
        timeout=240,
    )
    assert evaluation.state == "succeeded", evaluation.error
    comparisons = evaluation.summary["comparisons"]
    assert comparisons["baseline"]["counts"] == comparisons["previous"]["counts"]
    assert comparisons["baseline"]["paged"] > 0
    assert comparisons["previous"]["paged"] == 0
