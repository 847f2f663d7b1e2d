"""What each route needs: one table, so that who may do what is read in one place.

A route that is not in it needs `admin` of a key that is bound to no model; a test keeps the table
complete.
"""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import Request

from app.access.authentication import current_principal
from app.access.principals import MissingScopeError
from app.core.requests import route_template

OPEN = "open"
SIGNED = "signed"
"""The route itself checks a signature of whoever sends to it."""

MLFLOW = "/v1/integrations/mlflow"
_READ = (
    "/v1/models",
    "/v1/models/{model}",
    "/v1/models/{model}/aliases",
    "/v1/models/{model}/aliases/{alias}",
    "/v1/models/{model}/checkpoints",
    "/v1/models/{model}/checkpoints/{checkpoint}",
    "/v1/models/{model}/checkpoints/{checkpoint}/gate",
    "/v1/corpora",
    "/v1/corpora/{corpus}",
    "/v1/dictionaries",
    "/v1/dictionaries/{dictionary}",
    "/v1/feature-sets",
    "/v1/feature-sets/{feature_set}",
    "/v1/feature-sets/{feature_set}/versions",
    "/v1/feature-sets/{feature_set}/versions/{version}",
    "/v1/feature-sets/{feature_set}/versions/{version}/features",
    "/v1/features/{feature}",
    "/v1/features/{feature}/history",
    "/v1/features/{feature}/series",
    "/v1/monitors",
    "/v1/monitors/{monitor}",
    "/v1/monitors/{monitor}/history",
    "/v1/evaluations",
    "/v1/evaluations/{evaluation}",
    "/v1/evaluations/{evaluation}/verdicts",
    "/v1/evaluations/{evaluation}/passages",
    "/v1/evaluations/{evaluation}/report",
    "/v1/evaluations/{evaluation}/report.json",
    "/v1/evaluations/{evaluation}/report.md",
    "/v1/evaluations/{evaluation}/report.html",
    "/v1/repairs",
    "/v1/repairs/{repair}",
    "/v1/alerts",
    "/v1/alerts/{alert}",
)
_WRITE = (
    "POST /v1/models",
    "PUT /v1/models/{model}/aliases/{alias}",
    "DELETE /v1/models/{model}/aliases/{alias}",
    "POST /v1/models/{model}/checkpoints",
    "PATCH /v1/models/{model}/checkpoints/{checkpoint}",
    "POST /v1/corpora",
    "POST /v1/dictionaries",
    "POST /v1/feature-sets",
    "POST /v1/monitors",
    "PATCH /v1/monitors/{monitor}",
    "POST /v1/evaluations",
    "POST /v1/evaluations/{evaluation}:cancel",
    "POST /v1/evaluations/{evaluation}:retry",
    "POST /v1/repairs/{repair}:accept",
    "POST /v1/repairs/{repair}:reject",
    "POST /v1/alerts/{alert}:acknowledge",
)
# A webhook's URL is often a secret itself, and its log holds what was sent.
_ADMIN = (
    "POST /v1/webhooks",
    "GET /v1/webhooks",
    "GET /v1/webhooks/{webhook}",
    "PATCH /v1/webhooks/{webhook}",
    "DELETE /v1/webhooks/{webhook}",
    "POST /v1/webhooks/{webhook}:rotate",
    "POST /v1/webhooks/{webhook}:test",
    "GET /v1/webhooks/{webhook}/deliveries",
    "GET /v1/webhooks/{webhook}/deliveries/{delivery}",
    "POST /v1/webhooks/{webhook}/deliveries/{delivery}:redeliver",
    "GET /v1/audit-events",
    "POST /v1/api-keys",
    "GET /v1/api-keys",
    "GET /v1/api-keys/{key}",
    "POST /v1/api-keys/{key}:revoke",
    "POST /v1/api-keys/{key}:rotate",
)
# The web pages' routes; a page's forms are changes.
_PAGES = {
    "GET /": "read",
    "GET /models": "read",
    "GET /models/{model}": "read",
    "GET /models/{model}/checkpoints/{checkpoint}": "read",
    "GET /models/{model}/monitors/{monitor}": "read",
    "GET /evaluations/{evaluation}": "read",
    "GET /evaluations/{evaluation}/report": "read",
    "GET /features/{feature}": "read",
    "GET /corpora": "read",
    "GET /corpora/{corpus}": "read",
    "GET /corpora/{corpus}/documents/{number}": "read",
    "GET /dictionaries": "read",
    "GET /dictionaries/{dictionary}": "read",
    "GET /alerts": "read",
    "GET /alerts/{alert}": "read",
    "POST /alerts/{alert}/acknowledge": "write",
    "GET /repairs": "read",
    "GET /repairs/{repair}": "read",
    "POST /repairs/{repair}/accept": "write",
    "POST /repairs/{repair}/reject": "write",
    "GET /audit": "admin",
    "POST /sign-out": "read",
}

RULES: Mapping[str, str] = MappingProxyType(
    {
        **_PAGES,
        **{f"GET {path}": "read" for path in _READ},
        **dict.fromkeys(_WRITE, "write"),
        **dict.fromkeys(_ADMIN, "admin"),
        f"POST {MLFLOW}": SIGNED,
        "GET /healthz": OPEN,
        "GET /readyz": OPEN,
        # Documentation, with nothing of a deployment in it: whoever is paged reads it at once.
        "GET /runbooks/": OPEN,
        "GET /runbooks/{alert}": OPEN,
        "GET /docs": OPEN,
        "GET /v1/schemas/report-1.json": OPEN,
        # Here a key is given, and the form's style has to load before.
        "GET /sign-in": OPEN,
        "POST /sign-in": OPEN,
        "GET /static/{name}": OPEN,
    }
)
"""Method and template of a route → a scope, `open`, or `signed`."""


async def authorize(request: Request) -> None:
    """Let a request through if its principal may do what its route is for.

    Raises:
        AuthenticationError: there is no principal, and the route is not open.
        MissingScopeError: it may not.
    """
    rule = RULES.get(f"{request.method} {route_template(request.scope)}")
    if rule in (OPEN, SIGNED):
        return
    principal = await current_principal(request)
    principal.need(rule or "admin")
    if rule is None and principal.models is not None:
        raise MissingScopeError(
            "no rule says what a key that is bound to models may see here; use an unbound one",
            code="no_rule_for_bound_keys",
        )
