"""Registering probe corpora: the artifact first, then the row that names it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.access import audit
from app.access.principals import name_in_use, only_model, share_with_own_models
from app.core.artifacts import ArtifactStore
from app.core.digests import sha256_bytes
from app.core.errors import InvalidInputError, NotFoundError
from app.core.immutability import require_same
from app.registry.documents import Document, to_jsonl
from app.registry.facts import CorpusFacts, describe
from app.registry.repository import corpora as repository
from app.registry.service.sources import MAX_FILE_BYTES
from app.registry.tables import Corpus


@dataclass(frozen=True)
class StoredCorpus:
    """Documents that are in the artifact store, whether or not a row names them yet."""

    digest: str
    artifact_key: str
    facts: CorpusFacts


def store_documents(artifacts: ArtifactStore, documents: Sequence[Document]) -> StoredCorpus:
    """Write the canonical form under its digest, unless it is there.

    Raises:
        InvalidInputError: they are over 256 MiB, which variants may make of less.
        OSError: the store is full or unwritable.
    """
    data = to_jsonl(documents)
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInputError(
            f"the corpus with its variants has {len(data)} bytes; at most {MAX_FILE_BYTES} are "
            "stored as one corpus, so split it or ask for fewer perturbations",
            code="corpus_too_large",
            field="documents",
            value=len(data),
        )
    digest = sha256_bytes(data)
    key = f"corpora/{digest}/documents.jsonl"
    if not artifacts.exists(key):
        artifacts.write_bytes(key, data)
    return StoredCorpus(digest, key, describe(documents))


def register_corpus(
    session: Session, name: str, description: str | None, stored: StoredCorpus
) -> tuple[Corpus, bool]:
    """The corpus, and whether it is new.

    Raises:
        ConflictError: the name is registered with other documents or another description.
    """
    facts = stored.facts
    corpus = repository.insert_corpus(
        session,
        name=name,
        description=description,
        digest=stored.digest,
        artifact_key=stored.artifact_key,
        documents=facts.documents,
        groups=facts.groups,
        characters=facts.characters,
        concepts=facts.concepts,
        perturbations=facts.perturbations,
    )
    if corpus is not None:
        share_with_own_models(session, corpus.id)
        audit.record(
            session,
            action="corpus.registered",
            subject_id=corpus.id,
            detail={"name": name, "digest": stored.digest},
            model=only_model(session),
        )
        return corpus, True
    with name_in_use("corpus", name):
        corpus = find_corpus(session, name)
    require_same(
        "corpus",
        name,
        {
            "digest": (corpus.digest, stored.digest),
            "description": (corpus.description, description),
        },
    )
    return corpus, False


def find_corpus(session: Session, name: str) -> Corpus:
    """A corpus by name.

    Raises:
        NotFoundError: there is none.
    """
    corpus = repository.get_corpus(session, name)
    if corpus is None:
        raise NotFoundError(
            f"there is no corpus {name!r}; POST /v1/corpora registers one",
            code="unknown_corpus",
            field="corpus",
            value=name,
        )
    return corpus
