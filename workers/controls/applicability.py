"""Controls that have nothing to judge: said, so that an older finding of theirs does not stand."""

from collections.abc import Collection, Iterator, Mapping

from app.monitors.policy import DriftPolicy
from app.verdicts.tables import DOES_NOT_APPLY
from workers.controls import permuted_labels, random_features
from workers.controls.outcome import ControlOutcome

LABELLED = (random_features.NAME, permuted_labels.NAME)
"""Controls that need labels and raw activations."""


def not_applicable(
    policy: DriftPolicy, concepts: Mapping[str, str], labelled: Collection[str]
) -> Iterator[ControlOutcome]:
    """The controls that the policy asks for and that what is watched gives nothing to judge.

    A control that could not be told for any other reason is not among them.

    Args:
        concepts: the concept of each feature that claims one.
        labelled: the concepts that the corpus labels.
    """
    claimed = sorted(set(concepts.values()))
    if not claimed:
        why = "no watched feature claims a concept"
    elif not set(claimed) & set(labelled):
        names = ", ".join(map(repr, claimed[:5])) + (", …" if len(claimed) > 5 else "")
        why = f"the corpus labels none of the concepts that features claim ({names})"
    elif policy.activation_tokens == 0:
        why = "the policy keeps no raw activations (activation_tokens is 0)"
    else:
        return
    for name in LABELLED:
        if getattr(policy.controls, name):
            yield ControlOutcome(name, None, f"It does not apply: {why}.", dict(DOES_NOT_APPLY))
