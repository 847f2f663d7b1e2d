"""Making and changing monitors."""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.access import audit
from app.access.principals import name_in_use
from app.alerts.service import follow_monitor
from app.core.clock import now
from app.core.errors import InvalidInputError, NotFoundError
from app.core.immutability import require_same
from app.core.preconditions import check_if_match
from app.core.references import referred_to_by
from app.monitors import repository
from app.monitors.baselines import resolve_baseline
from app.monitors.policy import DriftPolicy
from app.monitors.repository import MonitorView
from app.monitors.schemas import (
    MAX_WATCHED,
    FeatureSetRef,
    FeatureSetVersionRef,
    MonitorCreate,
    MonitorOut,
    MonitorPatch,
)
from app.registry.service.corpora import find_corpus
from app.registry.service.dictionaries import find_dictionary
from app.registry.service.feature_sets import find_version
from app.registry.service.models import find_model
from app.registry.tables import Dictionary, FeatureSetVersion

_CHANGEABLE = (
    *("description", "feature_set_version_id", "corpus_id", "baseline", "policy", "watchlist"),
    "enabled",
)
_LATENT = re.compile(r"latent-(0|[1-9]\d{0,9})", re.ASCII)


def create(session: Session, body: MonitorCreate) -> tuple[MonitorView, bool]:
    """The monitor, and whether it is new.

    Raises:
        ConflictError: the name is taken by another monitor.
        InvalidInputError: it refers to something that is not there.
    """
    version: FeatureSetVersion | None = None
    dictionary: Dictionary | None = None
    with referred_to_by("model"):
        model = find_model(session, body.model)
    with referred_to_by("corpus"):
        corpus = find_corpus(session, body.corpus)
    if body.feature_set is not None:
        version = _watched_version(session, body.feature_set)
    if body.dictionary is not None:
        with referred_to_by("dictionary"):
            dictionary = find_dictionary(session, body.dictionary)
    resolve_baseline(session, model, body.baseline)
    watchlist = _watchlist(session, body.watchlist, version)
    _check_watchlist(session, watchlist, version, dictionary)
    content: dict[str, Any] = {
        "description": body.description,
        "model_id": model.id,
        "corpus_id": corpus.id,
        "feature_set_version_id": version.id if version is not None else None,
        "dictionary_id": dictionary.id if dictionary is not None else None,
        "baseline": body.baseline.model_dump(exclude_none=True),
        "policy": body.policy.model_dump(mode="json"),
        "watchlist": watchlist,
        "enabled": body.enabled,
    }
    created = repository.insert_monitor(session, name=body.name, updated_at=now(), **content)
    with name_in_use("monitor", body.name):
        view = find_monitor(session, body.name)
    if created is not None:
        _record(session, view, "created", body.model_dump(mode="json", exclude={"name"}))
    else:
        # A policy that an older release stored lacks the fields that have come since.
        stored = DriftPolicy.model_validate(view.monitor.policy).model_dump(mode="json")
        require_same(
            "monitor",
            body.name,
            {
                field.removesuffix("_id"): (
                    stored if field == "policy" else getattr(view.monitor, field),
                    value,
                )
                for field, value in content.items()
            },
        )
    return view, created is not None


def change(session: Session, name: str, body: MonitorPatch, if_match: str | None) -> MonitorView:
    """Replace the given fields. Evaluations that are accepted already keep what they had.

    Raises:
        NotFoundError: there is no such monitor.
        PreconditionRequiredError: no `If-Match`.
        PreconditionFailedError: it has changed since.
        InvalidInputError: it would refer to something that is not there.
    """
    view = find_monitor(session, name, lock=True)
    monitor = view.monitor
    check_if_match(if_match, monitor.version)
    before = {field: getattr(monitor, field) for field in _CHANGEABLE}
    if body.feature_set is not None:
        if monitor.feature_set_version_id is None:
            raise InvalidInputError(
                f"the monitor {name!r} watches a whole dictionary; make another monitor for a "
                "feature set",
                field="feature_set",
            )
        monitor.feature_set_version_id = _watched_version(session, body.feature_set).id
    if body.corpus is not None:
        with referred_to_by("corpus"):
            monitor.corpus_id = find_corpus(session, body.corpus).id
    if body.baseline is not None:
        model = find_model(session, view.model)
        resolve_baseline(session, model, body.baseline)
        monitor.baseline = body.baseline.model_dump(exclude_none=True)
    if body.policy is not None:
        monitor.policy = body.policy.model_dump(mode="json")
    if body.watchlist is not None:
        monitor.watchlist = list(body.watchlist)
    if body.enabled is not None:
        monitor.enabled = body.enabled
    if "description" in body.model_fields_set:
        monitor.description = body.description
    version = monitor.feature_set_version_id
    dictionary = monitor.dictionary_id
    _check_watchlist(
        session,
        monitor.watchlist,
        session.get_one(FeatureSetVersion, version) if version is not None else None,
        session.get_one(Dictionary, dictionary) if dictionary is not None else None,
    )
    if body.model_fields_set:
        monitor.version += 1
        monitor.updated_at = now()
    session.flush()
    _record_change(session, view, before)
    follow_monitor(session, monitor, view.model)
    return find_monitor(session, name)


def find_monitor(session: Session, name: str, *, lock: bool = False) -> MonitorView:
    """A monitor by name.

    Raises:
        NotFoundError: there is none.
    """
    view = repository.get_monitor(session, name, lock=lock)
    if view is None:
        raise NotFoundError(
            f"there is no monitor {name!r}; POST /v1/monitors makes one",
            code="unknown_monitor",
            field="monitor",
            value=name,
        )
    return view


def present(session: Session, views: Sequence[MonitorView]) -> list[MonitorOut]:
    """Monitors as they are answered."""
    versions = [view.monitor.feature_set_version_id for view in views]
    claimed = repository.claimed_concepts(session, (v for v in versions if v is not None))
    return [_present(view, claimed) for view in views]


def _record_change(session: Session, view: MonitorView, before: dict[str, Any]) -> None:
    """What was changed, from what to what; a changed policy is an act of its own."""
    changes = {
        field: {"from": _plain(old), "to": _plain(new)}
        for field, old in before.items()
        if (new := getattr(view.monitor, field)) != old
    }
    policy = changes.pop("policy", None)
    if policy is not None:
        old, new = before["policy"], view.monitor.policy
        # The policy of an older release lacks the fields that have come since.
        parts = {
            part: {"from": old.get(part), "to": new.get(part)}
            for part in sorted(old.keys() | new.keys())
            if old.get(part) != new.get(part)
        }
        _record(session, view, "policy_changed", parts)
    if changes:
        _record(session, view, "changed", changes)


def _record(session: Session, view: MonitorView, done: str, detail: dict[str, Any]) -> None:
    audit.record(
        session,
        action=f"monitor.{done}",
        subject_id=view.monitor.id,
        detail={"monitor": view.monitor.name, **detail},
        model=view.model,
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _present(view: MonitorView, claimed: dict[Any, set[str]]) -> MonitorOut:
    monitor = view.monitor
    concepts = claimed.get(monitor.feature_set_version_id, set())
    reference = None
    if view.feature_set is not None and view.feature_set_version is not None:
        reference = FeatureSetVersionRef(name=view.feature_set, version=view.feature_set_version)
    return MonitorOut(
        id=monitor.id,
        name=monitor.name,
        description=monitor.description,
        model=view.model,
        corpus=view.corpus.name,
        feature_set=reference,
        dictionary=view.dictionary,
        baseline=monitor.baseline,
        policy=DriftPolicy.model_validate(monitor.policy),
        watchlist=monitor.watchlist,
        enabled=monitor.enabled,
        unlabelled_concepts=sorted(concepts - set(view.corpus.concepts)),
        version=monitor.version,
        created_at=monitor.created_at,
        updated_at=monitor.updated_at,
    )


def _watched_version(session: Session, reference: FeatureSetRef) -> FeatureSetVersion:
    with referred_to_by("feature_set"):
        return find_version(session, reference.name, reference.version)[1]


def _watchlist(
    session: Session, given: Sequence[str] | None, version: FeatureSetVersion | None
) -> list[str]:
    """What is given, else all features of a small set: who names features wants to hear of them."""
    if given is not None:
        return list(given)
    if version is None:
        return []
    names = repository.all_feature_names(session, version.id, MAX_WATCHED + 1)
    return names if len(names) <= MAX_WATCHED else []


def _check_watchlist(
    session: Session,
    watchlist: Sequence[str],
    version: FeatureSetVersion | None,
    dictionary: Dictionary | None,
) -> None:
    if version is not None:
        known = repository.feature_names(session, version.id, watchlist)
        unknown = [name for name in watchlist if name not in known]
        hint = "is no feature of the watched version"
    else:
        size = dictionary.d_sae if dictionary is not None else None
        unknown = [name for name in watchlist if not _is_latent(name, size)]
        hint = "is no latent of the dictionary; write latent-<index>"
    if unknown:
        raise InvalidInputError(
            f"the watchlist names {unknown[0]!r}, which {hint}",
            code="unknown_feature",
            field="watchlist",
            value=unknown[0],
        )


def _is_latent(name: str, size: int | None) -> bool:
    match = _LATENT.fullmatch(name)
    return match is not None and (size is None or int(match[1]) < size)
