"""Whether a feature earns its keep, where the truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.unit.baselines.worlds import SITE, World, world
from workers.baselines import BaselineQuestion, judge_baselines

CONTEXT = BaselineQuestion("reader", "context", (SITE,))
TOKEN = BaselineQuestion("reader", "token", (SITE,))


def judge(w: World, values: np.ndarray, question: BaselineQuestion, margin: float = 0.02) -> dict:
    labels = {"context": w.by_context, "token": w.by_token}
    column = values.astype(np.float32)[:, None]
    found = judge_baselines(w, column, [question], labels, w.keys, margin)
    json.dumps(found, allow_nan=False)
    return found["reader"]


def test_a_token_lookup_in_disguise_does_not_earn_its_keep() -> None:
    w = world(0)
    found = judge(w, np.where(w.keys < 12, 1.0 + w.keys / 100, 0.0), TOKEN)
    assert found["earns_keep"] == "no"
    assert "token lookup does as well" in found["reason"]
    assert found["token_lookup"]["difference_upper"] < 0.02
    assert abs(found["token_lookup"]["difference"]) < 0.02


def test_a_feature_that_reads_the_context_earns_its_keep() -> None:
    w = world(1)
    rng = np.random.default_rng(1)
    found = judge(w, w.by_context + 0.1 * rng.normal(size=len(w.keys)), CONTEXT)
    assert found["earns_keep"] == "yes"
    assert found["token_lookup"]["auroc"] == pytest.approx(0.5, abs=0.05)
    assert found["token_lookup"]["difference_lower"] > 0.4


def test_a_feature_that_fitted_read_outs_beat_does_not_earn_its_keep() -> None:
    w = world(2)
    rng = np.random.default_rng(2)
    found = judge(w, w.by_context + 1.5 * rng.normal(size=len(w.keys)), CONTEXT)
    assert found["earns_keep"] == "no"
    assert "worse than a" in found["reason"]
    assert found["probe"]["difference_upper"] < -0.02
    assert found["probe"]["auroc"] > found["feature"]["auroc"]


def test_with_few_documents_nothing_is_shown() -> None:
    w = world(3, documents=12)
    found = judge(w, w.by_context.astype(float), CONTEXT)
    assert found["earns_keep"] == "not_shown"
    assert found["probe"] is None
    assert found["documents"] == 12
    assert "Only" in found["reason"]


def test_with_a_middling_number_of_documents_a_noisy_lead_is_not_shown() -> None:
    w = world(4, documents=24, length=40)
    rng = np.random.default_rng(4)
    # A little better than the lookup in truth, and far from certain in 24 short documents.
    values = (w.keys < 12) + 0.45 * rng.normal(size=len(w.keys))
    found = judge(w, values, TOKEN)
    assert found["earns_keep"] in ("not_shown", "no")
    small = judge(w, w.by_context * (rng.random(len(w.keys)) < 0.3), CONTEXT)
    assert small["earns_keep"] != "yes"


def test_the_figures_are_aurocs_of_pairs_within_folds() -> None:
    w = world(5)
    found = judge(w, w.a[SITE][:, 3], CONTEXT)
    # Folds of equal size: the average over folds is near the AUROC of all pairs, which scikit-learn
    # gives; the interval holds it.
    whole = roc_auc_score(w.by_context, w.a[SITE][:, 3])
    assert found["feature"]["auroc"] == pytest.approx(whole, abs=0.01)
    assert found["feature"]["lower"] < whole < found["feature"]["upper"]


def test_a_composite_is_judged_against_both_sites_together() -> None:
    w = world(6)
    noise = np.random.default_rng(6).normal(size=w.a[SITE].shape).astype(np.float32)
    one, two = noise.copy(), noise.copy()
    two[:, 5] += w.a[SITE][:, 3]
    two_sites = replace(w, a={"one": one, "two": two})
    alone = judge(two_sites, w.by_context * 1.0, replace(CONTEXT, sites=("one",)))
    both = judge(two_sites, w.by_context * 1.0, replace(CONTEXT, sites=("two", "one")))
    assert both["probe"]["auroc"] > alone["probe"]["auroc"] + 0.2


def test_without_activations_only_the_lookup_is_told() -> None:
    w = world(7)
    values = np.where(w.keys < 12, 1.0, 0.0)
    found = judge(replace(w, a={}), values, TOKEN)
    assert found["probe"]["note"].startswith(f"No activations of {SITE}")
    assert found["token_lookup"]["auroc"] > 0.9
    assert found["earns_keep"] == "no"
    reads = judge(replace(w, a={}), w.by_context * 1.0, CONTEXT)
    assert reads["earns_keep"] == "not_shown"
    assert "probe could not be fitted" in reads["reason"]


def test_one_document_that_holds_most_of_a_concept_shows_nothing() -> None:
    w = world(11)
    rng = np.random.default_rng(11)
    rare = (rng.random(len(w.keys)) < 0.004) | ((w.cluster == 7) & (rng.random(len(w.keys)) < 0.9))
    values = rare + 0.5 * rng.normal(size=len(w.keys)) * np.where(w.cluster == 7, 4, 1)
    labels = {"context": rare}
    column = values.astype(np.float32)[:, None]
    found = judge_baselines(w, column, [CONTEXT], labels, w.keys, 0.02)["reader"]
    assert found["documents_with_concept"] >= 20
    assert found["effective_documents"] < 3
    assert found["earns_keep"] == "not_shown"


def test_an_unlabelled_concept_is_not_shown() -> None:
    w = world(8, documents=30)
    found = judge(w, w.by_context * 1.0, BaselineQuestion("reader", "colour", (SITE,)))
    assert found["earns_keep"] == "not_shown"
    assert "'colour'" in found["reason"]


def test_the_same_inputs_give_the_same_figures() -> None:
    w = world(9, documents=40)
    assert judge(w, w.a[SITE][:, 3], CONTEXT) == judge(w, w.a[SITE][:, 3], CONTEXT)


def test_arrays_that_do_not_fit_are_refused() -> None:
    w = world(10, documents=30)
    with pytest.raises(ValueError, match="one column a feature"):
        judge_baselines(w, np.zeros((3, 1), np.float32), [CONTEXT], {}, w.keys, 0.02)
    values = np.zeros((len(w.keys), 1), np.float32)
    with pytest.raises(ValueError, match="token_keys: 2 values"):
        judge_baselines(w, values, [CONTEXT], {}, w.keys[:2], 0.02)
    with pytest.raises(ValueError, match="labels of 'context'"):
        judge_baselines(w, values, [CONTEXT], {"context": w.by_context[:5]}, w.keys, 0.02)
    with pytest.raises(ValueError, match="margin"):
        judge_baselines(w, values, [CONTEXT], {}, w.keys, 0)
