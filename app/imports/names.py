"""Names of features, made from what they are called elsewhere."""

import re

_LIMIT = 128
_FORBIDDEN = re.compile(r"[^A-Za-z0-9._-]+")


def name_of(text: str) -> str:
    """The nearest name that a feature can bear; empty where nothing of it can stay.

    >>> name_of("Anger / rage (layer 3)")
    'Anger-rage-layer-3'
    """
    found = _FORBIDDEN.sub("-", text).strip("-")
    while found and not found[0].isalnum():
        found = found[1:]
    return found[:_LIMIT].rstrip("-")
