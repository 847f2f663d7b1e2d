"""Forms that only our own pages can send.

Each form carries a token, signed by us, that belongs to a random value in a cookie and to the key
that has signed in. Another site can neither read the token nor make one.
"""

import hmac
import secrets
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from app.access.principals import Principal
from app.core.errors import FeaturedriftError
from app.web.addresses import is_own_origin
from app.web.session import read_cookie, set_cookie

FIELD = "csrf_token"
_COOKIE = "featuredrift_form"
_PURPOSE = "form"
_MAX_AGE = 12 * 3600


class ForeignFormError(FeaturedriftError):
    """A form that none of our pages has sent, or one that lay open for too long."""

    status, code, title = 403, "foreign_form", "Forbidden"


class FormToken:
    """The token of a page's forms, made when the first of them is written."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._fresh: str | None = None
        self._value: str | None = None

    @property
    def value(self) -> str:
        """The token."""
        if self._value is None:
            nonce = read_cookie(self._request, _COOKIE)
            if nonce is None:
                nonce = self._fresh = secrets.token_urlsafe(24)
            self._value = self._request.app.state.signer.sign(
                _PURPOSE, [nonce, _owner(self._request)]
            )
        return self._value

    def keep(self, response: Response) -> None:
        """Let the browser keep the other half of the token."""
        if self._fresh is not None:
            set_cookie(self._request, response, _COOKIE, self._fresh)


async def _checked_form(request: Request) -> FormData:
    origin = request.headers.get("origin")
    if origin is not None and not is_own_origin(request, origin):
        raise ForeignFormError(
            f"the form came from {origin}, which is not this service; open the page here and send "
            "it again. Behind a proxy, set FEATUREDRIFT_PUBLIC_URL to the address people use",
            value=origin,
        )
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise ForeignFormError("the form came from another site; open the page here and send it")
    form = await request.form(max_files=0, max_fields=100)
    token = form.get(FIELD)
    if not isinstance(token, str) or not _is_good(request, token):
        raise ForeignFormError(
            "the form's token is missing or belongs to another sign-in; go back, reload the page, "
            "and send it again. The browser must accept cookies of this site"
        )
    return form


CheckedForm = Annotated[FormData, Depends(_checked_form)]
"""The fields of a form that one of our own pages has sent.

Raises:
    ForeignFormError: none of them has.
"""


def _is_good(request: Request, token: str) -> bool:
    found = request.app.state.signer.read(_PURPOSE, token, _MAX_AGE)
    nonce = read_cookie(request, _COOKIE)
    if found is None or nonce is None:
        return False
    value, _ = found
    return (
        isinstance(value, list)
        and len(value) == 2
        and hmac.compare_digest(str(value[0]).encode(), nonce.encode())
        and value[1] == _owner(request)
    )


def _owner(request: Request) -> str:
    """Whose forms these are: a token of one key is no good for another."""
    principal = getattr(request.state, "principal", None)
    if not isinstance(principal, Principal):
        return ""
    return str(principal.key_id or principal.name)
