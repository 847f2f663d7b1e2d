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

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, union
from sqlalchemy.orm import LoaderCriteriaOption, ORMExecuteState
from sqlalchemy.sql.util import _deep_annotate

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
        *(
            "idempotency_keys",
            "model_access",
            "ended_sessions",
            "snapshots",
            "evaluation_snapshots",
            "shards",
        ),
        *("outbox", "retired_artifacts", "retention_runs", "audit_chain", "audit_head"),
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


class _OwnRows(LoaderCriteriaOption):
    """`column IN (ids)` for a table, and for each of its aliases by the alias' own column.

    What `with_loader_criteria` makes of an expression names the table itself where a query joins an
    alias of it; what it makes of a function is cached by the function's code, whichever models the
    function closes over.
    """

    __slots__ = ("_column", "_ids")
    # In the cache's key as the base's condition: the same column, the same query for its values.
    _traverse_internals = LoaderCriteriaOption._traverse_internals

    def __init__(self, table: type[Base], column: str, ids: Select[Any]) -> None:
        super().__init__(table, getattr(table, column).in_(ids), include_aliases=True)
        self._column, self._ids = column, ids

    def _resolve_where_criteria(self, ext_info: Any) -> ColumnElement[bool]:
        condition = getattr(ext_info.entity, self._column).in_(self._ids)
        return _deep_annotate(
            condition,
            {"for_loader_criteria": self},
            detect_subquery_cols=True,
            ind_cols_on_fromclause=True,
        )


@lru_cache(maxsize=1000)
def _criteria(names: tuple[str, ...]) -> tuple[_OwnRows, ...]:
    return tuple(_OwnRows(table, *which) for table, which in conditions(names).items())


def conditions(names: tuple[str, ...]) -> dict[type[Base], tuple[str, Select[Any]]]:
    """Table → a column of its, and the values that it has in rows of these models.

    The values are selected from Core tables: no condition is conditioned again.
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
    webhooks, keys, events = Webhook.__table__.c, ApiKey.__table__.c, AuditEvent.__table__.c
    own_webhooks = select(webhooks.id).where(_within(webhooks.models, names))
    own_keys = select(keys.id).where(keys.models.is_not(None), _within(keys.models, names))
    return {
        Model: ("id", own),
        Checkpoint: ("model_id", own),
        Alias: ("model_id", own),
        Monitor: ("model_id", own),
        PageBudgetEntry: ("monitor_id", own_monitors),
        Alert: ("monitor_id", own_monitors),
        Repair: ("monitor_id", own_monitors),
        Evaluation: ("monitor_id", own_monitors),
        Verdict: ("evaluation_id", own_evaluations),
        Control: ("evaluation_id", own_evaluations),
        DictionaryHealth: ("evaluation_id", own_evaluations),
        Corpus: ("id", _shared("corpus_id", names, own_monitors)),
        Dictionary: ("id", _own_dictionaries(names, own_monitors, own_versions)),
        FeatureSet: ("id", sets),
        FeatureSetVersion: ("feature_set_id", sets),
        Feature: ("feature_set_version_id", own_versions),
        Webhook: ("id", own_webhooks),
        Delivery: ("webhook_id", own_webhooks),
        ApiKey: ("id", own_keys),
        AuditEvent: ("id", select(events.id).where(events.model.in_(names))),
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


def _any_of(*queries: Select[Any]) -> Select[Any]:
    found = union(*queries).subquery()
    return select(next(iter(found.c)))


def _shared(column: str, names: tuple[str, ...], own_monitors: Select[Any]) -> Select[Any]:
    return _any_of(_registered_for(names), *_used(column, own_monitors))


def _own_sets(names: tuple[str, ...], own_monitors: Select[Any]) -> Select[Any]:
    versions = FeatureSetVersion.__table__.c
    now, then = _used("feature_set_version_id", own_monitors)
    used = select(versions.feature_set_id).where(or_(versions.id.in_(now), versions.id.in_(then)))
    return _any_of(_registered_for(names), used)


def _own_dictionaries(
    names: tuple[str, ...], own_monitors: Select[Any], own_versions: Select[Any]
) -> Select[Any]:
    features = Feature.__table__.c
    read = select(features.dictionary_id).where(
        features.feature_set_version_id.in_(own_versions), features.dictionary_id.is_not(None)
    )
    return _any_of(_registered_for(names), *_used("dictionary_id", own_monitors), read)
