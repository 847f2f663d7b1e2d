"""Imported features into a feature set: alone, or beside what its latest version has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.client import Client, NotFoundError
from app.imports.errors import refuse
from app.registry.definitions import Feature

_FEATURE: TypeAdapter[Any] = TypeAdapter(Feature)


@dataclass(frozen=True)
class Planned:
    """What a version would hold.

    Attributes:
        latest: the version that holds now; None where there is no such set.
        features: all definitions of the version to be.
        added, replaced, same: names of the imported ones, by what they are to the latest version.
        left_out: names of the latest version that the new one no longer has.
    """

    latest: int | None
    features: list[dict[str, Any]]
    added: list[str]
    replaced: list[str]
    same: list[str]
    left_out: list[str]


def plan(
    client: Client,
    feature_set: str,
    imported: Sequence[dict[str, Any]],
    *,
    add: bool = False,
    replace: bool = False,
) -> Planned:
    """Compare what is imported with the latest version of the set.

    Args:
        add: keep the features of the latest version.
        replace: let imported features take the place of those of the same name.

    Raises:
        ImportRefusedError: a definition is not valid, or a name is taken by another definition.
    """
    wanted = {one["name"]: _normal(one) for one in imported}
    if len(wanted) < len(imported):
        refuse(f"feature set {feature_set!r}", "two imported features bear one name; rename one")
    latest, known = _latest(client, feature_set)
    replaced = [name for name in wanted if name in known and known[name] != wanted[name]]
    if replaced and add and not replace:
        refuse(
            f"feature set {feature_set!r}",
            f"version {latest} has another feature named {replaced[0]!r}; rename it, or let it be "
            "replaced (--replace)",
        )
    features = {**known, **wanted} if add else wanted
    return Planned(
        latest=latest,
        features=list(features.values()),
        added=[name for name in wanted if name not in known],
        replaced=replaced,
        same=[name for name in wanted if name in known and known[name] == wanted[name]],
        left_out=[name for name in known if name not in features],
    )


def _latest(client: Client, feature_set: str) -> tuple[int | None, dict[str, dict[str, Any]]]:
    try:
        latest = client.feature_sets.get(feature_set).latest_version
    except NotFoundError:
        return None, {}
    found = client.feature_sets.features(feature_set, latest)
    return latest, {one.name: _normal(one.definition) for one in found}


def _normal(definition: dict[str, Any]) -> dict[str, Any]:
    """With all defaults, so that two can be compared; nothing that is null."""
    try:
        feature = _FEATURE.validate_python(definition)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in fault["loc"][1:])
        refuse(f"feature {definition.get('name')!r}", f"{field}: {fault['msg']}")
    found: dict[str, Any] = feature.model_dump(mode="json", exclude_none=True)
    return found
