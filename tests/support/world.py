"""Registered things of a deployment, and what its evaluations leave behind."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select

from app.core.artifacts import ArtifactStore
from app.core.clock import now
from app.core.database import Database, make_engine
from app.core.digests import sha256_bytes, sha256_json
from app.core.ids import new_id
from app.evaluations import ledger
from app.evaluations.tables import Evaluation, EvaluationSnapshot, Shard, Snapshot
from app.monitors.policy import DriftPolicy
from app.monitors.tables import Monitor
from app.registry.documents import parse_objects, to_jsonl
from app.registry.facts import describe
from app.registry.tables import (
    Checkpoint,
    Corpus,
    Dictionary,
    Feature,
    FeatureSet,
    FeatureSetVersion,
    Model,
)
from app.settings import Settings
from app.sources.dictionary import inspect_dictionary_source
from app.verdicts.tables import Control, DictionaryHealth, Verdict
from tests.support.probes import CONTROLS_TO_CHOOSE, SITE, documents
from tests.support.waiting import wait_for

ENDED = ("succeeded", "failed", "cancelled")


class World:
    """Registered things of one deployment, written as the API writes them."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.store = ArtifactStore(settings.artifacts)
        self.models = settings.allowed_roots[0]

    def corpus(self, values: Sequence[dict[str, Any]] | None = None) -> UUID:
        parsed = parse_objects(values or documents())
        data = to_jsonl(parsed)
        digest = sha256_bytes(data)
        key = f"corpora/{digest}/documents.jsonl"
        self.store.write_bytes(key, data)
        facts = describe(parsed)
        return self._add(
            Corpus(
                name=new_id().hex,
                digest=digest,
                artifact_key=key,
                documents=facts.documents,
                groups=facts.groups,
                characters=facts.characters,
                concepts=facts.concepts,
            )
        )

    def dictionary(self, folder: Path) -> str:
        """Register a dictionary under a fresh name, which is returned."""
        facts = inspect_dictionary_source(str(folder), self.settings.allowed_roots)
        assert facts is not None
        name = f"d{new_id().hex}"
        self._add(
            Dictionary(
                name=name,
                site=SITE,
                source=str(folder),
                digest=facts.digest,
                architecture=facts.architecture,
                d_in=facts.d_in,
                d_sae=facts.d_sae,
            )
        )
        return name

    def feature_set(self, definitions: Sequence[dict[str, Any]]) -> UUID:
        with self.database.unit_of_work() as session:
            feature_set = FeatureSet(id=new_id(), name=new_id().hex)
            session.add(feature_set)
            session.flush()
            version = FeatureSetVersion(
                id=new_id(),
                feature_set_id=feature_set.id,
                number=1,
                digest=sha256_json(list(definitions)),
                features_count=len(definitions),
            )
            session.add(version)
            session.flush()
            for position, definition in enumerate(definitions):
                dictionary = session.scalar(
                    select(Dictionary.id).where(Dictionary.name == definition.get("dictionary"))
                )
                session.add(
                    Feature(
                        id=new_id(),
                        feature_set_version_id=version.id,
                        position=position,
                        name=definition["name"],
                        kind=definition["kind"],
                        concept=definition.get("concept"),
                        definition=definition,
                        definition_digest=sha256_json(definition),
                        dictionary_id=dictionary,
                    )
                )
            return version.id

    def model(self) -> UUID:
        return self._add(Model(name=new_id().hex))

    def checkpoint(self, model: UUID, source: Path, **values: Any) -> UUID:
        return self._add(
            Checkpoint(model_id=model, name=new_id().hex, source=str(source), **values)
        )

    def monitor(
        self,
        model: UUID,
        corpus: UUID,
        *,
        feature_set: UUID | None = None,
        dictionary: str | None = None,
        watchlist: Sequence[str] = (),
        **policy: Any,
    ) -> UUID:
        with self.database.unit_of_work() as session:
            dictionary_id = session.scalar(
                select(Dictionary.id).where(Dictionary.name == dictionary)
            )
        # The dictionaries here are random, so no FVU is too bad, and the corpora are tiny.
        # Random models and dictionaries have no controls worth asking; whoever does, asks for them.
        settings = {
            "fvu_max": 1e9,
            "min_active_documents": 5,
            "controls": dict.fromkeys(CONTROLS_TO_CHOOSE, False),
            "baselines": False,
            "diagnosis": False,
            **policy,
        }
        return self._add(
            Monitor(
                name=new_id().hex,
                model_id=model,
                corpus_id=corpus,
                feature_set_version_id=feature_set,
                dictionary_id=dictionary_id,
                baseline={"alias": "baseline"},
                policy=DriftPolicy(**settings).model_dump(mode="json"),
                watchlist=list(watchlist),
                updated_at=now(),
            )
        )

    def evaluate(
        self, monitor: UUID, candidate: UUID, baseline: UUID, previous: UUID | None = None
    ) -> UUID:
        """Accept an evaluation: its row, its plan shard and the message, in one transaction."""
        with self.database.unit_of_work() as session:
            row = session.get_one(Monitor, monitor)
            evaluation = Evaluation(
                id=new_id(),
                monitor_id=monitor,
                checkpoint_id=candidate,
                baseline_checkpoint_id=baseline,
                previous_checkpoint_id=previous,
                corpus_id=row.corpus_id,
                feature_set_version_id=row.feature_set_version_id,
                dictionary_id=row.dictionary_id,
                policy=row.policy,
                inputs_digest=new_id().hex,
            )
            session.add(evaluation)
            session.flush()
            ledger.open_shard(session, kind="plan", evaluation_id=evaluation.id)
            return evaluation.id

    def _add(self, row: Any) -> UUID:
        with self.database.unit_of_work() as session:
            row.id = new_id()
            session.add(row)
            session.flush()
            found: UUID = row.id
            return found

    def forget_snapshots(self) -> None:
        """Drop all snapshots, so that the next evaluation computes everything again."""
        with self.database.unit_of_work() as session:
            for table in (EvaluationSnapshot, Shard, Snapshot):
                session.execute(delete(table))
        self.store.delete_prefix("snapshots")

    def evaluation(self, evaluation_id: UUID) -> Evaluation:
        with self.database.unit_of_work() as session:
            return session.get_one(Evaluation, evaluation_id)

    def shards(self) -> Sequence[Shard]:
        with self.database.unit_of_work() as session:
            return session.scalars(select(Shard).order_by(Shard.created_at)).all()

    def verdicts(self, evaluation_id: UUID, comparison: str = "baseline") -> dict[str, Verdict]:
        with self.database.unit_of_work() as session:
            rows = session.scalars(
                select(Verdict).where(
                    Verdict.evaluation_id == evaluation_id, Verdict.comparison == comparison
                )
            )
            return {row.feature: row for row in rows}

    def numbers(self, evaluation_id: UUID) -> dict[tuple[str, str], Any]:
        """All that an evaluation found, in a form that two runs can be compared in."""
        return {
            (comparison, name): (row.verdict, row.effect, row.lower, row.upper, row.estimates)
            for comparison in ("baseline", "previous")
            for name, row in self.verdicts(evaluation_id, comparison).items()
        }

    def control(self, evaluation_id: UUID) -> Control:
        with self.database.unit_of_work() as session:
            return session.get_one(Control, (evaluation_id, "no_op"))

    def health(self, evaluation_id: UUID) -> Sequence[DictionaryHealth]:
        with self.database.unit_of_work() as session:
            return session.scalars(
                select(DictionaryHealth).where(DictionaryHealth.evaluation_id == evaluation_id)
            ).all()

    def wait(self, evaluation_id: UUID, timeout: float = 120) -> Evaluation:
        """The evaluation, once it has ended."""

        def ended() -> Evaluation | None:
            found = self.evaluation(evaluation_id)
            return found if found.state in ENDED else None

        try:
            return wait_for(ended, timeout)
        except TimeoutError:
            states = [(s.kind, s.position, s.state, s.attempt, s.error) for s in self.shards()]
            found = self.evaluation(evaluation_id)
            raise AssertionError(f"{found.state} at {found.step}; shards {states}") from None


@contextmanager
def connected(settings: Settings) -> Iterator[World]:
    """A world on a deployment's database."""
    database = Database(make_engine(settings, application="tests"))
    try:
        yield World(settings, database)
    finally:
        database.dispose()
