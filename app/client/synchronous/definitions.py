# Written by `make client` from app/client/asynchronous; change it there.
"""What is watched, and on what: corpora, dictionaries, feature sets."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal
from uuid import UUID

from app.client.protocol import JSON_LINES, build, given, parse, path_of, several
from app.client.synchronous.transport import Transport
from app.registry.perturbations import Perturbation
from app.registry.schemas.corpora import CorpusCreate, CorpusOut
from app.registry.schemas.dictionaries import DictionaryCreate, DictionaryOut
from app.registry.schemas.feature_sets import (
    FeatureOut,
    FeatureSetCreate,
    FeatureSetOut,
    FeatureSetVersionOut,
    VersionOut,
)
from app.verdicts.schemas import FeatureHistoryItem
from app.verdicts.series_schemas import SeriesPoint


class Corpora:
    """Probe corpora: documents that never change."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        *,
        documents: Iterable[Mapping[str, Any]] | None = None,
        uri: str | None = None,
        lines: bytes | None = None,
        description: str | None = None,
        perturbations: Iterable[Perturbation] = (),
    ) -> CorpusOut:
        """Register a corpus; the same again gives what is there.

        Args:
            documents: objects with `id` and `text`, and perhaps `labels`, `group`, `variant_of`.
            uri: in their place, a JSON Lines file that the API can read.
            lines: in their place, the bytes of such a file.
            perturbations: variants to add of each document.
        """
        added = several(tuple(perturbations))
        if lines is not None and documents is None and uri is None:
            query = {"name": name, "description": description, "perturbations": added}
            response = self._transport.send(
                "POST", path_of("corpora"), query=query, content=lines, content_type=JSON_LINES
            )
            found: CorpusOut = parse(self._transport.target, CorpusOut, response)
            return found
        listed = None if documents is None else [dict(document) for document in documents]
        both = {} if lines is None else {"lines": "(bytes)"}
        body = build(
            CorpusCreate,
            name=name,
            **given(documents=listed, uri=uri, description=description),
            **({"perturbations": added} if added else {}),
            **both,
        )
        return self._transport.read(CorpusOut, "POST", path_of("corpora"), body=body)

    def get(self, corpus: str) -> CorpusOut:
        """A corpus."""
        return self._transport.read(CorpusOut, "GET", path_of("corpora", corpus))

    def list(self, *, digest: str | None = None) -> Iterator[CorpusOut]:
        """Corpora, newest first; those with these documents, if a digest is given."""
        return self._transport.pages(CorpusOut, "corpora", query={"digest": digest})


class Dictionaries:
    """SAEs and transcoders in SAELens format."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        source: str | None = None,
        *,
        release: str | None = None,
        sae_id: str | None = None,
        site: str | None = None,
        description: str | None = None,
    ) -> DictionaryOut:
        """Register a dictionary: a directory or URI, or a SAELens release and an id in it."""
        fields = given(
            source=source, release=release, sae_id=sae_id, site=site, description=description
        )
        body = build(DictionaryCreate, name=name, **fields)
        return self._transport.read(DictionaryOut, "POST", path_of("dictionaries"), body=body)

    def get(self, dictionary: str) -> DictionaryOut:
        """A dictionary."""
        path = path_of("dictionaries", dictionary)
        return self._transport.read(DictionaryOut, "GET", path)

    def list(self) -> Iterator[DictionaryOut]:
        """Dictionaries, newest first."""
        return self._transport.pages(DictionaryOut, "dictionaries")


class FeatureSets:
    """Named lines of immutable lists of features."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def publish(
        self,
        name: str,
        features: Iterable[Mapping[str, Any]],
        *,
        description: str | None = None,
    ) -> FeatureSetVersionOut:
        """Publish a version; the same features again are the same version.

        Args:
            features: definitions, each with its `kind` and `name`.
        """
        fields = given(description=description)
        listed = [dict(feature) for feature in features]
        body = build(FeatureSetCreate, name=name, features=listed, **fields)
        path = path_of("feature-sets")
        return self._transport.read(FeatureSetVersionOut, "POST", path, body=body)

    def get(self, feature_set: str) -> FeatureSetOut:
        """A feature set, with its latest version's number."""
        return self._transport.read(FeatureSetOut, "GET", path_of("feature-sets", feature_set))

    def list(self) -> Iterator[FeatureSetOut]:
        """Feature sets, newest first."""
        return self._transport.pages(FeatureSetOut, "feature-sets")

    def version(self, feature_set: str, version: int) -> FeatureSetVersionOut:
        """A version, with its features but without their vectors."""
        path = path_of("feature-sets", feature_set, "versions", version)
        return self._transport.read(FeatureSetVersionOut, "GET", path)

    def versions(self, feature_set: str) -> Iterator[VersionOut]:
        """Versions of a set, newest first."""
        return self._transport.pages(VersionOut, "feature-sets", feature_set, "versions")

    def features(self, feature_set: str, version: int) -> Iterator[FeatureOut]:
        """Features of a version with their full definitions, in their order."""
        path = ("feature-sets", feature_set, "versions", version, "features")
        return self._transport.pages(FeatureOut, *path)

    def feature(self, feature: UUID | str) -> FeatureOut:
        """One feature by its id, with its full definition."""
        return self._transport.read(FeatureOut, "GET", path_of("features", feature))

    def history(
        self,
        feature: UUID | str,
        *,
        monitor: str | None = None,
        comparison: Literal["baseline", "previous"] | None = None,
    ) -> Iterator[FeatureHistoryItem]:
        """Verdicts on a feature over checkpoints and versions of its set, newest first."""
        query = {"monitor": monitor, "comparison": comparison}
        return self._transport.pages(
            FeatureHistoryItem, "features", feature, "history", query=query
        )

    def series(
        self,
        feature: UUID | str,
        *,
        monitor: str | None = None,
        comparison: Literal["baseline", "previous"] | None = None,
    ) -> Iterator[SeriesPoint]:
        """A feature's line over checkpoints, newest first: its history without the evidence."""
        query = {"monitor": monitor, "comparison": comparison}
        return self._transport.pages(SeriesPoint, "features", feature, "series", query=query)
