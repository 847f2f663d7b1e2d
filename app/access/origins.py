"""A server that needs no key answers this machine, not the web sites that its browser shows.

A page of anybody's can have a browser send requests to a loopback address. It cannot read the
answers, because there is no CORS; but a POST without a body needs none to have its effect, and a
name of its own that is pointed at 127.0.0.1 meanwhile makes it the same origin. So a server without
keys answers only under names that nobody outside can own, and changes nothing for foreign origins.
Where keys are needed neither is of use: a browser adds no Authorization header by itself.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from app.access.principals import MissingScopeError
from app.core.errors import FeaturedriftError
from app.settings import Settings

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})
# What containers call the machine they run on.
_LOCAL = frozenset({"host.docker.internal", "host.containers.internal"})


class ForeignHostError(FeaturedriftError):
    """The name that the server was asked under may be somebody else's."""

    status, code, title = 421, "foreign_host", "Misdirected request"


class Origins:
    """Decides for a server that needs no key whether a browser was put up to a request."""

    def __init__(self, settings: Settings) -> None:
        public = urlsplit(settings.public_url)
        self._names = {settings.host.lower(), public.hostname or ""}
        self._public = public.netloc
        # Who listens beyond loopback without keys has said so, and has names of all kinds.
        self._any_host = settings.allow_unauthenticated_bind

    def check(self, method: str, headers: Headers) -> None:
        """Let a request through that is no web site's.

        Raises:
            ForeignHostError: the host is a name that could be anybody's.
            MissingScopeError: it changes something, and comes from a page of another origin.
        """
        host = _hostname(headers.get("host", ""))
        if not (self._any_host or self._is_own(host)):
            raise ForeignHostError(
                f"{host!r} is no name of this server, which needs no key and so answers only under "
                "its own; set FEATUREDRIFT_PUBLIC_URL to the address that it is reached at",
                field="Host",
                value=host,
            )
        if method in _SAFE:
            return
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        own = {headers.get("host", ""), self._public}
        foreign = origin is not None and _authority(origin) not in own
        if foreign or (site is not None and site not in _OWN_SITES):
            raise MissingScopeError(
                f"this was sent by a page of {origin or 'another site'}, and a server without keys "
                "changes nothing for other sites",
                code="foreign_origin",
                field="Origin",
                value=origin,
            )

    def _is_own(self, host: str) -> bool:
        if host in self._names or host in _LOCAL or "." not in host.rstrip("."):
            # Without a dot it is no name of the public DNS.
            return True
        if host.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _hostname(authority: str) -> str:
    try:
        return (urlsplit(f"//{authority}").hostname or "").lower()
    except ValueError:
        return authority.lower() + ".invalid"
