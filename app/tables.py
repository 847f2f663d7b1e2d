"""Every table of the system, imported in one place for migrations."""

from app.access import audit_tables as audit
from app.access import keys_tables as keys
from app.access import sessions_tables as sessions
from app.access import tables as access
from app.alerts import tables as alerts
from app.core.tables import Base
from app.evaluations import tables as evaluations
from app.monitors import tables as monitors
from app.registry import tables as registry
from app.repairs import tables as repairs
from app.retention import tables as retention
from app.verdicts import tables as verdicts
from app.webhooks import tables as webhooks

__all__ = [
    "Base",
    "access",
    "alerts",
    "audit",
    "evaluations",
    "keys",
    "monitors",
    "registry",
    "repairs",
    "retention",
    "sessions",
    "verdicts",
    "webhooks",
]
