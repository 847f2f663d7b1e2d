"""The layer that authenticates: before a route is looked for, and before a body is read."""

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.authentication import Authenticator
from app.access.origins import Origins
from app.access.principals import MissingScopeError, Principal
from app.access.rules import MLFLOW
from app.core.errors import FeaturedriftError
from app.core.problems import UNREACHABLE, own_error_response, unreachable_response

METRICS = "/metrics"
_API = "/v1/"


class Guard:
    """Puts the principal into `request.state`; answers itself where there must be one and is none.

    Paths outside of `/v1/` pass without a key; their routes then need a rule that says `open`.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator, origins: Origins) -> None:
        self._app = app
        self._authenticator = authenticator
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application on a request whose sender is known."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            if not self._authenticator.required:
                self._origins.check(scope["method"], request.headers)
            principal = await self._principal(scope)
        except FeaturedriftError as error:
            # The body is left unread: nobody shall send 64 MiB to be told to go.
            response = own_error_response(request, error)
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
            return
        except UNREACHABLE as error:
            await unreachable_response(request, error)(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)

    async def _principal(self, scope: Scope) -> Principal | None:
        path = scope["path"]
        if path.rstrip("/") == MLFLOW:
            return None
        guarded = path.startswith(_API) or path == METRICS
        headers = Headers(scope=scope)
        given = headers.get("authorization")
        if given is None and self._authenticator.required and not guarded:
            return None
        client = scope.get("client")
        address = client[0] if client else ""
        if given is None:
            principal = self._authenticator.authenticate(None, address)
        else:
            principal = await run_in_threadpool(self._authenticator.authenticate, given, address)
        if path == METRICS:
            _allow_metrics(principal)
        return principal


def _allow_metrics(principal: Principal) -> None:
    if principal.models is not None:
        raise MissingScopeError(
            "the figures are of all models, and this key is bound to some; use an unbound one",
            code="model_not_allowed",
        )
    if "read" not in principal.scopes:
        principal.need("metrics")
