"""Addresses within this service, and whose they are."""

from urllib.parse import quote, urlsplit

from starlette.requests import Request

HOME = "/"
_LONGEST = 2000


def own_path(target: str | None) -> str:
    """The target if it is a path of this service, with its query; else the home page.

    What a browser could read as another site's address (`//host`, `/\\host`, a scheme, a control
    character) is refused, so that a sign-in leads nowhere else.
    """
    if not target or len(target) > _LONGEST or not target.startswith("/"):
        return HOME
    if (
        target.startswith("//")
        or "\\" in target
        or any(ord(c) <= 32 or ord(c) == 127 for c in target)
    ):
        return HOME
    try:
        parts = urlsplit(target)
    except ValueError:
        return HOME
    if parts.scheme or parts.netloc or parts.path in {"/sign-in", "/sign-out"}:
        return HOME
    return target


def sign_in_path(request: Request) -> str:
    """Where to sign in, and come back from to what was asked for."""
    if request.method not in {"GET", "HEAD"}:
        return "/sign-in"
    query = request.url.query
    asked = own_path(request.url.path + (f"?{query}" if query else ""))
    return "/sign-in" if asked == HOME else f"/sign-in?next={quote(asked, safe='/')}"


def is_secure(request: Request) -> bool:
    """Whether people reach this service by https, be it through a proxy."""
    public = str(request.app.state.settings.public_url)
    return request.url.scheme == "https" or public.startswith("https://")


def is_own_origin(request: Request, origin: str) -> bool:
    """Whether an `Origin` is this service's own: the host that was asked, or the public one.

    Schemes are not compared for the host that was asked: behind a proxy that ends TLS the
    application sees http.
    """
    if origin == "null":
        return False
    try:
        given = urlsplit(origin)
        public = urlsplit(str(request.app.state.settings.public_url))
    except ValueError:
        return False
    if given.scheme not in {"http", "https"} or not given.netloc:
        return False
    asked = request.headers.get("host", "")
    return given.netloc == asked or (given.scheme, given.netloc) == (public.scheme, public.netloc)
