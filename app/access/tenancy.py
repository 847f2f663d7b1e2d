"""What a key that is bound to models cannot see does not exist in its transactions.

Each SELECT, UPDATE and DELETE of a bound principal's session gets a condition for every table of
ours that it touches, in whichever query, alias or join. So a new route needs no care of its own:
a lookup finds nothing, and a list leaves out, what is another model's. Rows that are inserted
belong to what they refer to, which was looked up under the same conditions.

Statements in text, and of Core tables alone, are not conditioned; API code has none (a test
forbids them).
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria

from app.access.audit_tables import AuditEvent
from app.access.keys_tables import ApiKey, ModelAccess
from app.access.principals import bound_models
from app.alerts.tables import Alert
from app.core.database import UNRESTRICTED
from app.core.tables import Base
from app.evaluations.tables import Evaluation
from app.monitors.tables import Monitor, PageBudgetEntry
from app.registry.tables import (
    Alias,
    Checkpoint,
    Corpus,
    Dictionary,
    Feature,
    FeatureSet,
    FeatureSetVersion,
    Model,
)
from app.repairs.tables import Repair
from app.verdicts.tables import Control, DictionaryHealth, Verdict
from app.webhooks.tables import Delivery, Webhook

INTERNAL = frozenset(
    {
        *("idempotency_keys", "model_access", "snapshots", "evaluation_snapshots", "shards"),
        *("outbox", "retired_artifacts", "retention_runs"),
    }
)
"""Tables whose rows no route shows or takes by id: a new table is conditioned or stands here."""


def restrict(state: ORMExecuteState) -> None:
    """Condition a statement on the models that its session's principal is bound to."""
    bound = bound_models(state.session)
    if bound is None or state.execution_options.get(UNRESTRICTED):
        return
    # A refresh reads again what was found before, under the same conditions.
    if not (state.is_select or state.is_update or state.is_delete) or state.is_column_load:
        return
    state.statement = state.statement.options(*_criteria(tuple(sorted(bound))))


@lru_cache(maxsize=1000)
def _criteria(names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(
        with_loader_criteria(table, condition, include_aliases=True)
        for table, condition in conditions(names).items()
    )


def conditions(names: tuple[str, ...]) -> dict[type[Base], ColumnElement[bool]]:
    """Table → which of its rows are of these models. Conditions name Core tables: no condition is
    conditioned again.
    """
    models = Model.__table__.c
    own = select(models.id).where(models.name.in_(names))
    monitors = Monitor.__table__.c
    own_monitors = select(monitors.id).where(monitors.model_id.in_(own))
    evaluations = Evaluation.__table__.c
    own_evaluations = select(evaluations.id).where(evaluations.monitor_id.in_(own_monitors))
    sets = _own_sets(names, own_monitors)
    versions = FeatureSetVersion.__table__.c
    own_versions = select(versions.id).where(versions.feature_set_id.in_(sets))
    webhooks = Webhook.__table__.c
    webhook_is_own = _within(webhooks.models, names)
    return {
        Model: Model.name.in_(names),
        Checkpoint: Checkpoint.model_id.in_(own),
        Alias: Alias.model_id.in_(own),
        Monitor: Monitor.model_id.in_(own),
        Evaluation: Evaluation.monitor_id.in_(own_monitors),
        Verdict: Verdict.evaluation_id.in_(own_evaluations),
        Control: Control.evaluation_id.in_(own_evaluations),
        DictionaryHealth: DictionaryHealth.evaluation_id.in_(own_evaluations),
        PageBudgetEntry: PageBudgetEntry.monitor_id.in_(own_monitors),
        Alert: Alert.monitor_id.in_(own_monitors),
        Repair: Repair.monitor_id.in_(own_monitors),
        Corpus: _shared(Corpus.id, "corpus_id", names, own_monitors),
        Dictionary: or_(
            _shared(Dictionary.id, "dictionary_id", names, own_monitors),
            Dictionary.id.in_(_read_by(own_versions)),
        ),
        FeatureSet: FeatureSet.id.in_(sets),
        FeatureSetVersion: FeatureSetVersion.feature_set_id.in_(sets),
        Feature: Feature.feature_set_version_id.in_(own_versions),
        Webhook: _within(Webhook.models, names),
        Delivery: Delivery.webhook_id.in_(select(webhooks.id).where(webhook_is_own)),
        ApiKey: and_(ApiKey.models.is_not(None), _within(ApiKey.models, names)),
        AuditEvent: AuditEvent.model.in_(names),
    }


def _within(column: Any, names: tuple[str, ...]) -> ColumnElement[bool]:
    """The list names models, and none but these."""
    return and_(func.jsonb_array_length(column) > 0, column.contained_by(list(names)))


def _registered_for(names: tuple[str, ...]) -> Select[Any]:
    access = ModelAccess.__table__.c
    return select(access.subject_id).where(access.model.in_(names))


def _used(column: str, own_monitors: Select[Any]) -> tuple[Select[Any], Select[Any]]:
    """Ids that own monitors refer to now, and that their evaluations were made with."""
    monitors, evaluations = Monitor.__table__.c, Evaluation.__table__.c
    return (
        select(monitors[column]).where(
            monitors.id.in_(own_monitors), monitors[column].is_not(None)
        ),
        select(evaluations[column]).where(
            evaluations.monitor_id.in_(own_monitors), evaluations[column].is_not(None)
        ),
    )


def _shared(
    key: Any, column: str, names: tuple[str, ...], own_monitors: Select[Any]
) -> ColumnElement[bool]:
    now, then = _used(column, own_monitors)
    return or_(key.in_(_registered_for(names)), key.in_(now), key.in_(then))


def _own_sets(names: tuple[str, ...], own_monitors: Select[Any]) -> Select[Any]:
    sets, versions = FeatureSet.__table__.c, FeatureSetVersion.__table__.c
    now, then = _used("feature_set_version_id", own_monitors)
    used = select(versions.feature_set_id).where(or_(versions.id.in_(now), versions.id.in_(then)))
    return select(sets.id).where(or_(sets.id.in_(_registered_for(names)), sets.id.in_(used)))


def _read_by(own_versions: Select[Any]) -> Select[Any]:
    features = Feature.__table__.c
    return select(features.dictionary_id).where(
        features.feature_set_version_id.in_(own_versions), features.dictionary_id.is_not(None)
    )
