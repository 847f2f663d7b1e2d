"""Simple read-outs of a concept from activations, and how well they separate it."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


def column_aurocs(values: Floats, labels: Flags) -> NDArray[np.float64]:
    """AUROC of every column for every label, from mid-ranks (Mann and Whitney 1947).

    Args:
        values: float32 [tokens, columns].
        labels: bool [tokens, labels], each with both classes.

    Returns:
        float64 [labels, columns].
    """
    positives = labels.sum(axis=0, dtype=np.float64)[:, None]
    negatives = len(labels) - positives
    weights = labels.T.astype(np.float64)
    sums = np.stack([weights @ rankdata(column) for column in values.T], axis=1)
    result: NDArray[np.float64] = (sums - positives * (positives + 1) / 2) / (positives * negatives)
    return result


def auroc(values: Floats, labels: Flags) -> float:
    """Area under the ROC curve of a value [tokens] for a label [tokens]."""
    return float(roc_auc_score(labels, values))


def fit_probe(activations: Floats, labels: Flags) -> tuple[list[float], float]:
    """A logistic probe (weights, bias) in the activations' own units.

    Args:
        activations: float32 [tokens, width].
        labels: bool [tokens].
    """
    scaler = StandardScaler()
    probe = LogisticRegression(C=0.1, max_iter=200)
    probe.fit(scaler.fit_transform(activations), labels)
    weights = probe.coef_[0] / scaler.scale_
    bias = float(probe.intercept_[0] - weights @ scaler.mean_)
    return [float(w) for w in weights], bias


def fit_direction(activations: Floats, labels: Flags) -> tuple[list[float], list[float]]:
    """Difference of class means, and the point half-way between them as centre."""
    on, off = activations[labels].mean(axis=0), activations[~labels].mean(axis=0)
    return [float(x) for x in on - off], [float(x) for x in (on + off) / 2]
