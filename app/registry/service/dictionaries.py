"""Registering dictionaries: what their files say is read once, before the transaction."""

from sqlalchemy.orm import Session

from app.access import audit
from app.access.principals import name_in_use, only_model, share_with_own_models
from app.core.errors import InvalidInputError, NotFoundError
from app.core.immutability import require_same
from app.registry.repository import dictionaries as repository
from app.registry.schemas.dictionaries import DictionaryCreate
from app.registry.service.sources import reading
from app.registry.tables import Dictionary
from app.settings import Settings
from app.sources.artifacts import artifact_key, artifact_source
from app.sources.dictionary import DictionaryFacts, inspect_dictionary_source
from app.sources.locations import Place, place_of


def inspect(body: DictionaryCreate, settings: Settings) -> DictionaryFacts | None:
    """What a local dictionary's files say; None for one that only a worker can fetch.

    Raises:
        InvalidInputError: the files are damaged, or the source is not allowed here.
    """
    if body.source is not None:
        if artifact_key(body.source) is not None:
            raise InvalidInputError(
                f"{body.source!r} lies in the service's own artifact store, where only an accepted "
                "repair registers dictionaries; POST /v1/repairs/{id}:accept, or give an absolute "
                "path, a file:// or s3:// URI, or hf://owner/name",
                code="source_reserved",
                field="source",
                value=body.source,
            )
        with reading(body.source):
            on_hub = place_of(body.source) is Place.HUB
            if not on_hub:
                return inspect_dictionary_source(body.source, settings.allowed_roots)
    if not settings.allow_hub:
        field = "release" if body.source is None else "source"
        value = body.release if body.source is None else body.source
        raise InvalidInputError(
            f"{value!r} is on the Hugging Face hub, which is not allowed here; set "
            "FEATUREDRIFT_ALLOW_HUB=true or give a local copy as source",
            code="hub_not_allowed",
            field=field,
            value=value,
        )
    return None


def register_dictionary(
    session: Session, body: DictionaryCreate, facts: DictionaryFacts | None
) -> tuple[Dictionary, bool]:
    """The dictionary, and whether it is new. The same digest under the name is the same thing.

    Raises:
        ConflictError: the name is registered with other content.
        InvalidInputError: neither the request nor the files name the site.
    """
    site = body.site or (facts.site if facts is not None else None)
    if site is None:
        raise InvalidInputError(
            "the dictionary's own configuration names no site; give site, such as "
            "'blocks.3.hook_resid_post'",
            code="site_missing",
            field="site",
        )
    values = {
        "description": body.description,
        "site": site,
        "source": body.source,
        "release": body.release,
        "sae_id": body.sae_id,
        "digest": facts.digest if facts is not None else None,
    }
    dictionary = repository.insert_dictionary(
        session,
        name=body.name,
        architecture=facts.architecture if facts is not None else None,
        d_in=facts.d_in if facts is not None else None,
        d_sae=facts.d_sae if facts is not None else None,
        **values,
    )
    if dictionary is not None:
        share_with_own_models(session, dictionary.id)
        _record(session, dictionary)
        return dictionary, True
    with name_in_use("dictionary", body.name):
        dictionary = find_dictionary(session, body.name)
    compared = ["digest", "site", "description"]
    if facts is None:
        # What a worker has read since says nothing about what was asked for.
        compared = ["source", "release", "sae_id", "site", "description"]
    require_same(
        "dictionary",
        body.name,
        {field: (getattr(dictionary, field), values[field]) for field in compared},
    )
    return dictionary, False


def register_stored_dictionary(
    session: Session,
    *,
    name: str,
    artifact: str,
    digest: str,
    site: str,
    architecture: str,
    d_in: int,
    d_sae: int,
) -> tuple[Dictionary, bool]:
    """A dictionary that the service itself put into its artifact store, and whether it is new.

    Args:
        artifact: the key prefix of its folder.

    Raises:
        ConflictError: the name is registered with other content.
    """
    dictionary = repository.insert_dictionary(
        session,
        name=name,
        site=site,
        source=artifact_source(artifact),
        digest=digest,
        architecture=architecture,
        d_in=d_in,
        d_sae=d_sae,
    )
    if dictionary is not None:
        share_with_own_models(session, dictionary.id)
        _record(session, dictionary)
        return dictionary, True
    with name_in_use("dictionary", name):
        dictionary = find_dictionary(session, name)
    require_same(
        "dictionary",
        name,
        {"digest": (dictionary.digest, digest), "site": (dictionary.site, site)},
    )
    return dictionary, False


def find_dictionary(session: Session, name: str) -> Dictionary:
    """A dictionary by name.

    Raises:
        NotFoundError: there is none.
    """
    dictionary = repository.get_dictionary(session, name)
    if dictionary is None:
        raise NotFoundError(
            f"there is no dictionary {name!r}; POST /v1/dictionaries registers one",
            code="unknown_dictionary",
            field="dictionary",
            value=name,
        )
    return dictionary


def _record(session: Session, dictionary: Dictionary) -> None:
    origin = {"source": dictionary.source, "release": dictionary.release, "id": dictionary.sae_id}
    audit.record(
        session,
        action="dictionary.registered",
        subject_id=dictionary.id,
        detail={"name": dictionary.name, "digest": dictionary.digest}
        | {name: value for name, value in origin.items() if value is not None},
        model=only_model(session),
    )
