"""What an evaluation watches: the features of a set, or all latents of one dictionary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.digests import sha256_json
from app.evaluations.tables import Evaluation
from app.registry.definitions import Composite, SaeLatent
from app.registry.definitions import Feature as Definition
from app.registry.tables import Dictionary, Feature
from workers.features.dictionaries import DictionarySource
from workers.features.plan import FeaturePlan

_DEFINITION: TypeAdapter[Definition] = TypeAdapter(Definition)
# What says nothing about a feature's value at a token.
_IDLE = frozenset({"description", "concept"})


@dataclass(frozen=True)
class WatchedFeature:
    """One feature of a set, as registered."""

    id: UUID
    name: str
    concept: str | None
    definition: Definition
    definition_digest: str


@dataclass(frozen=True)
class Target:
    """Either features, or a whole dictionary."""

    features: tuple[WatchedFeature, ...]
    """In the order of the set; empty for a whole dictionary."""
    whole: Dictionary | None
    dictionaries: tuple[Dictionary, ...]
    """All that are read, as registered."""

    @property
    def reference(self) -> dict[str, Any]:
        """What a capture shard needs to find the target again."""
        if self.whole is not None:
            return {"dictionary": str(self.whole.id)}
        return {"features": [str(feature.id) for feature in self.features]}

    def digest(self, sources: Mapping[str, DictionarySource]) -> str:
        """The identity of the watched values: definitions, or the dictionary and its site.

        Names of concepts and descriptions do not count; a snapshot does not depend on them.
        """
        if self.whole is not None:
            source = sources[self.whole.name]
            return sha256_json({"dictionary": source.digest, "site": source.site})
        return sha256_json(
            [
                {
                    key: value
                    for key, value in feature.definition.model_dump(mode="json").items()
                    if key not in _IDLE
                }
                for feature in self.features
            ]
        )

    @property
    def concepts(self) -> dict[str, str]:
        """The concept of each feature that claims one."""
        return {f.name: f.concept for f in self.features if f.concept is not None}

    def dictionaries_of(self, names: Sequence[str]) -> dict[str, frozenset[str]]:
        """The dictionaries that each feature reads, its components' included; none is left out.

        Args:
            names: all features of the comparison, for a whole dictionary.
        """
        if self.whole is not None:
            return dict.fromkeys(names, frozenset({self.whole.name}))
        by_name = {feature.name: feature.definition for feature in self.features}
        parts = {
            name: [component.feature for component in definition.components]
            for name, definition in by_name.items()
            if isinstance(definition, Composite)
        }
        found: dict[str, frozenset[str]] = {}
        for name, definition in by_name.items():
            if not isinstance(definition, Composite):
                read = {definition.dictionary} if isinstance(definition, SaeLatent) else ()
                found[name] = frozenset(read)
        for name in TopologicalSorter(parts).static_order():
            if name in parts:
                found[name] = frozenset().union(*(found[part] for part in parts[name]))
        return {name: read for name, read in found.items() if read}


def feature_plan(target: Target, sources: Mapping[str, DictionarySource]) -> FeaturePlan:
    """How the watched values follow from activations.

    Raises:
        EvaluationError: a latent's index is out of range.
    """
    if target.whole is not None:
        return FeaturePlan.whole_dictionary(sources[target.whole.name])
    return FeaturePlan.build([feature.definition for feature in target.features], sources)


def load_target(session: Session, evaluation: Evaluation) -> Target:
    """What an evaluation watches."""
    if evaluation.dictionary_id is not None:
        return _whole(session, evaluation.dictionary_id)
    return _watched(session, Feature.feature_set_version_id == evaluation.feature_set_version_id)


def find_target(session: Session, reference: Mapping[str, Any]) -> Target:
    """The target that `Target.reference` stands for."""
    if "dictionary" in reference:
        return _whole(session, UUID(reference["dictionary"]))
    return _watched(session, Feature.id.in_([UUID(one) for one in reference["features"]]))


def _whole(session: Session, dictionary_id: UUID) -> Target:
    dictionary = session.get_one(Dictionary, dictionary_id)
    return Target(features=(), whole=dictionary, dictionaries=(dictionary,))


def _watched(session: Session, where: Any) -> Target:
    rows = session.scalars(select(Feature).where(where).order_by(Feature.position)).all()
    features = tuple(
        WatchedFeature(
            id=row.id,
            name=row.name,
            concept=row.concept,
            definition=_DEFINITION.validate_python(row.definition),
            definition_digest=row.definition_digest,
        )
        for row in rows
    )
    names = {f.definition.dictionary for f in features if isinstance(f.definition, SaeLatent)}
    dictionaries = session.scalars(
        select(Dictionary).where(Dictionary.name.in_(names)).order_by(Dictionary.name)
    ).all()
    return Target(features=features, whole=None, dictionaries=tuple(dictionaries))
