"""Publishing versions of feature sets, after checking what can be checked without weights."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.access import audit
from app.access.principals import name_in_use, only_model, share_with_own_models
from app.core.digests import sha256_json
from app.core.errors import InvalidInputError, NotFoundError
from app.core.immutability import require_same
from app.registry.definitions import Direction, Feature, LinearProbe, Neuron, SaeLatent
from app.registry.repository import dictionaries, feature_sets
from app.registry.schemas.feature_sets import FeatureSetCreate
from app.registry.tables import Dictionary, FeatureSet, FeatureSetVersion
from app.registry.tables import Feature as FeatureRow


def publish(session: Session, body: FeatureSetCreate) -> tuple[FeatureSet, FeatureSetVersion, bool]:
    """The set, the version with these features, and whether the version is new.

    Raises:
        ConflictError: the set exists with another description.
        InvalidInputError: features do not fit their dictionary or each other.
    """
    latents = [feature for feature in body.features if isinstance(feature, SaeLatent)]
    known = dictionaries.get_dictionaries(session, (latent.dictionary for latent in latents))
    check_features(body.features, known)
    definitions = [feature.model_dump(mode="json") for feature in body.features]
    digest = sha256_json(definitions)
    feature_set = feature_sets.insert_feature_set(session, body.name, body.description)
    if feature_set is not None:
        share_with_own_models(session, feature_set.id)
    else:
        with name_in_use("feature set", body.name):
            feature_set = find_feature_set(session, body.name, lock=True)
        if body.description is not None:
            require_same(
                "feature set",
                body.name,
                {"description": (feature_set.description, body.description)},
            )
        existing = feature_sets.find_version(session, feature_set.id, digest)
        if existing is not None:
            return feature_set, existing, False
    number = feature_sets.latest_number(session, feature_set.id) + 1
    rows = [
        _row(feature, definition, known)
        for feature, definition in zip(body.features, definitions, strict=True)
    ]
    version = feature_sets.insert_version(session, feature_set.id, number, digest, rows)
    audit.record(
        session,
        action="feature_set.published",
        subject_id=feature_set.id,
        detail={"name": body.name, "version": number, "digest": digest, "features": len(rows)},
        model=only_model(session),
    )
    return feature_set, version, True


def check_features(features: Sequence[Feature], known: Mapping[str, Dictionary]) -> None:
    """Dictionaries exist, indices lie inside them, and widths at one site agree.

    Raises:
        InvalidInputError: naming the feature, the value, and what it should fit.
    """
    widths: dict[str, tuple[int, str]] = {}

    def expect(site: str, width: int, who: str, field: str) -> None:
        first, by = widths.setdefault(site, (width, who))
        if first != width:
            raise InvalidInputError(
                f"{who} reads {width} coordinates at {site}, but {by} reads {first}; "
                "a site has one width",
                code="width_mismatch",
                field=field,
                value=width,
            )

    for position, feature in enumerate(features):
        field = f"features.{position}"
        who = f"feature {feature.name!r}"
        match feature:
            case SaeLatent():
                dictionary = known.get(feature.dictionary)
                if dictionary is None:
                    raise InvalidInputError(
                        f"{who} names the dictionary {feature.dictionary!r}, which is not "
                        "registered; POST /v1/dictionaries first",
                        code="unknown_dictionary",
                        field=f"{field}.dictionary",
                        value=feature.dictionary,
                    )
                _check_index(who, f"{field}.index", feature.index, dictionary)
                if dictionary.d_in is not None:
                    whose = f"dictionary {dictionary.name!r}"
                    expect(dictionary.site, dictionary.d_in, whose, f"{field}.dictionary")
            case LinearProbe():
                expect(feature.site, len(feature.weights), who, f"{field}.weights")
            case Direction():
                expect(feature.site, len(feature.vector), who, f"{field}.vector")
    for position, feature in enumerate(features):
        if isinstance(feature, Neuron) and feature.site in widths:
            width, by = widths[feature.site]
            if feature.index >= width:
                raise InvalidInputError(
                    f"feature {feature.name!r} reads coordinate {feature.index} at {feature.site}, "
                    f"which has {width} coordinates according to {by}",
                    code="index_out_of_range",
                    field=f"features.{position}.index",
                    value=feature.index,
                )


def _check_index(who: str, field: str, index: int, dictionary: Dictionary) -> None:
    if dictionary.d_sae is not None and index >= dictionary.d_sae:
        raise InvalidInputError(
            f"{who} has latent index {index}, but the dictionary {dictionary.name!r} has "
            f"{dictionary.d_sae} latents (0 to {dictionary.d_sae - 1})",
            code="index_out_of_range",
            field=field,
            value=index,
        )


def _row(
    feature: Feature, definition: dict[str, Any], known: Mapping[str, Dictionary]
) -> dict[str, Any]:
    # A description says nothing about values, so it does not change what a feature is.
    content = {key: value for key, value in definition.items() if key != "description"}
    return {
        "name": feature.name,
        "kind": feature.kind,
        "concept": feature.concept,
        "definition": definition,
        "definition_digest": sha256_json(content),
        "dictionary_id": (known[feature.dictionary].id if isinstance(feature, SaeLatent) else None),
    }


def find_feature_set(session: Session, name: str, *, lock: bool = False) -> FeatureSet:
    """A feature set by name.

    Raises:
        NotFoundError: there is none.
    """
    feature_set = feature_sets.get_feature_set(session, name, lock=lock)
    if feature_set is None:
        raise NotFoundError(
            f"there is no feature set {name!r}; POST /v1/feature-sets publishes one",
            code="unknown_feature_set",
            field="feature_set",
            value=name,
        )
    return feature_set


def find_version(
    session: Session, name: str, number: int | None
) -> tuple[FeatureSet, FeatureSetVersion]:
    """A version of a set; the latest when no number is given.

    Raises:
        NotFoundError: there is none.
    """
    feature_set = find_feature_set(session, name)
    wanted = number or feature_sets.latest_number(session, feature_set.id)
    version = feature_sets.get_version(session, feature_set.id, wanted)
    if version is None:
        raise NotFoundError(
            f"the feature set {name!r} has no version {wanted}; "
            f"GET /v1/feature-sets/{name}/versions lists them",
            code="unknown_feature_set_version",
            field="version",
            value=wanted,
        )
    return feature_set, version


def find_feature(session: Session, feature_id: UUID) -> tuple[FeatureRow, int, str]:
    """A feature by id, with its version's number and its set's name.

    Raises:
        NotFoundError: there is none.
    """
    found = feature_sets.get_feature(session, feature_id)
    if found is None:
        raise NotFoundError(
            f"there is no feature {feature_id}; "
            "GET /v1/feature-sets/{name}/versions/{version} lists ids",
            code="unknown_feature",
            field="feature",
            value=str(feature_id),
        )
    return found
