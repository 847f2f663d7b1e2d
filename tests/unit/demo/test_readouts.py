"""Read-outs and their scores, against independent references."""

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from app.registry.documents import Document
from workers.demo.readouts import auroc, column_aurocs, fit_direction, fit_probe
from workers.demo.recipe import Recipe
from workers.demo.sample import halves, sample


def test_column_aurocs_equal_sklearns_with_ties() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 5)).astype(np.float32)
    values[:, 1] = np.maximum(values[:, 1], 0)
    values[:, 2] = 0
    labels = rng.random((400, 3)) < 0.3
    found = column_aurocs(values, labels)
    expected = [[roc_auc_score(y, x) for x in values.T] for y in labels.T]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_probe_and_direction_find_a_planted_direction() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 8)).astype(np.float32) * np.arange(1, 9, dtype=np.float32)
    labels = x[:, 0] + 0.1 * x[:, 7] > 0.5
    weights, bias = fit_probe(x[:2000], labels[:2000])
    logits = x @ np.array(weights) + bias
    assert auroc(logits[2000:], labels[2000:]) > 0.99
    assert abs((logits > 0).mean() - labels.mean()) < 0.02
    vector, center = fit_direction(x[:2000], labels[:2000])
    projected = (x - np.array(center)) @ np.array(vector)
    # Means know nothing of covariance, so the wide axes drown the narrow one that matters.
    assert 0.75 < auroc(projected[2000:], labels[2000:]) < 0.9
    middle = (x[:2000][labels[:2000]].mean(axis=0) + x[:2000][~labels[:2000]].mean(axis=0)) / 2
    np.testing.assert_allclose(center, middle, rtol=1e-5)


def test_a_token_has_a_concept_if_it_overlaps_a_span() -> None:
    inner = Tokenizer(models.WordLevel({"ab": 0, "cd": 1, "ef": 2, "<u>": 3}, unk_token="<u>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner)
    documents = [
        Document(id="a", text="ab cd ef", labels={"comment": ((4, 7),)}),
        Document(id="b", text="cd ab cd", labels={"comment": ((0, 2), (7, 8))}),
    ]
    data = sample(documents, tokenizer, Recipe(context=3))
    assert data.rows.tolist() == [[0, 1, 2], [1, 0, 1]]
    assert data.labels["comment"].tolist() == [False, True, True, True, False, True]
    assert not data.labels["number"].any()
    assert halves(data) == (slice(0, 3), slice(3, 6))
    assert data.rows.dtype == torch.int64
