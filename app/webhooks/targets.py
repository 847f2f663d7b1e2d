"""URLs of webhooks, read once by the parser that also sends."""

import re
from dataclasses import dataclass

import httpx

MAX_URL = 2000
_PORTS = {"http": 80, "https": 443}
_USER = re.compile(r"[^/?#]*//[^/?#]*@")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", re.ASCII)
"""A name, or an address without a zone: no percent sign, which others read in their own way."""


@dataclass(frozen=True)
class Target:
    """Where a webhook goes, as the connection sees it.

    Attributes:
        host: in ASCII, without brackets.
        authority: what the header `Host` says.
        path: with the query.
    """

    scheme: str
    host: str
    port: int
    authority: str
    path: bytes


def parse_target(url: str) -> Target:
    """Read a webhook's URL.

    Raises:
        ValueError: what is wrong with it, and what to write.
    """
    if len(url) > MAX_URL:
        raise ValueError(f"has {len(url)} characters; at most {MAX_URL} are taken")
    if any(character.isspace() or character == "\\" for character in url):
        raise ValueError("contains a space or a backslash; write them percent-encoded")
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError(f"is no URL: {error}; give https://host[:port]/path") from error
    if parsed.scheme not in _PORTS:
        raise ValueError(f"has the scheme {parsed.scheme!r}; give an https:// or http:// URL")
    if parsed.userinfo or _USER.match(url):
        raise ValueError("contains a user name or password; the signature says who is calling")
    if not host:
        raise ValueError("has no host; give https://host[:port]/path")
    if not _HOST.fullmatch(host.strip("[]")):
        raise ValueError(f"has the host {host!r}, which is neither a name nor an address")
    if "#" in url:
        raise ValueError("has a fragment, which is never sent; leave out what follows the #")
    port = parsed.port if parsed.port is not None else _PORTS[parsed.scheme]
    if not 1 <= port <= 65535:
        raise ValueError(f"has the port {port}; there are 1 to 65535")
    authority = parsed.netloc.decode("ascii")
    return Target(parsed.scheme, host.strip("[]"), port, authority, parsed.raw_path)
