"""What must be equal before two snapshots may be compared as drift."""

from collections.abc import Collection, Mapping
from typing import Any

from workers.comparison.pairing import NotComparableError
from workers.drift.ladder import Blocked
from workers.drift.policy import Policy
from workers.snapshots import Manifest

_NAMES = {
    "corpus_digest": "probe corpora",
    "features_digest": "feature sets",
    "dictionaries": "dictionaries",
    "sequence_length": "sequence lengths",
    "numerics": "numerics",
}


def check_comparable(
    baseline: Manifest, candidate: Manifest, *, numerics_may_differ: bool = False
) -> None:
    """Refuse two snapshots that differ in more than the checkpoint.

    Args:
        numerics_may_differ: for a numerics control, which is about just that.

    Raises:
        NotComparableError: naming what differs and both values.
    """
    for name, what in _NAMES.items():
        if name == "numerics" and numerics_may_differ:
            continue
        a, b = baseline.inputs.get(name), candidate.inputs.get(name)
        if a != b:
            raise NotComparableError(f"The {what} differ: {_difference(a, b)}.")
    if baseline.columns != candidate.columns:
        raise NotComparableError(
            "The features differ in name, order or threshold although their digests agree; "
            "capture both snapshots again."
        )


def fvu_gate(
    baseline: Manifest, policy: Policy, dictionaries: Mapping[str, Collection[str]]
) -> dict[str, Blocked]:
    """Features one of whose dictionaries does not describe the baseline's activations.

    Args:
        dictionaries: the dictionaries of each feature that reads any.
    """
    failed = {}
    for name, health in baseline.health.items():
        fvu = health.get("fvu")
        if fvu is not None and not fvu <= policy.fvu_max:
            failed[name] = Blocked(
                "invalid",
                f"Dictionary {name} leaves {fvu:.3g} of the baseline's variance unexplained, more "
                f"than {policy.fvu_max:.3g}: its features mean nothing here.",
            )
    return {
        feature: failed[bad[0]]
        for feature, names in dictionaries.items()
        if (bad := sorted(failed.keys() & set(names)))
    }


def unmeasured_fvu(
    baseline: Manifest, dictionaries: Mapping[str, Collection[str]]
) -> tuple[str, ...]:
    """A note on each dictionary in use that the gate could not judge."""
    read = set().union(*dictionaries.values())
    return tuple(
        f"How much of the variance dictionary {name} explains was not measured, so that nothing "
        "shows whether its features mean something here."
        for name, health in sorted(baseline.health.items())
        if name in read and health.get("fvu") is None
    )


def candidate_fvu(
    candidate: Manifest, policy: Policy, dictionaries: Mapping[str, Collection[str]]
) -> tuple[str, ...]:
    """A note on each dictionary in use that no longer describes the candidate's activations.

    No verdict follows: the features are judged by what they do, and may well do it as before.
    """
    read = set().union(*dictionaries.values())
    return tuple(
        f"Dictionary {name} leaves {fvu:.3g} of the candidate's variance unexplained, more than "
        f"{policy.fvu_max:.3g}: what its features say is a small part of what goes on there."
        for name, health in sorted(candidate.health.items())
        if name in read and (fvu := health.get("fvu")) is not None and not fvu <= policy.fvu_max
    )


def _difference(a: Any, b: Any) -> str:
    """The entries that differ, for a person."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        keys = [key for key in sorted({*a, *b}) if a.get(key) != b.get(key)]
        return ", ".join(f"{key} {_value(a.get(key))} beside {_value(b.get(key))}" for key in keys)
    return f"{_value(a)} beside {_value(b)}"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_value(v)}" for k, v in sorted(value.items())) + "}"
    text = str(value)
    # A digest is told apart by its beginning.
    return text[:12] + "…" if len(text) == 64 else text
