"""One attempt: resolve, check, connect, post, read a little of the answer."""

import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore
import httpx

from app.core.clock import now
from app.settings import Settings
from app.webhooks.addresses import (
    Resolver,
    TargetRefusedError,
    TargetUnresolvedError,
    check_addresses,
    resolve,
)
from app.webhooks.connection import PinnedBackend
from app.webhooks.targets import parse_target

SNIPPET_BYTES = 1024
_HEADERS = (
    ("Content-Type", "application/json"),
    ("User-Agent", "Featuredrift-Webhooks/1"),
    ("Accept-Encoding", "identity"),
)
_MAX_REASON = 500
_HTTP_ERRORS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt.

    Attributes:
        error: why it does not count as delivered; None when it does.
        status: of the answer, if there was one.
        snippet: the start of the answer's body, at most `SNIPPET_BYTES` of it.
        seconds: how long it took.
        retry_after: seconds for which the receiver asked to be left alone.
    """

    error: str | None
    status: int | None = None
    snippet: str = ""
    seconds: float = 0.0
    retry_after: float | None = None


class Sender:
    """Posts to webhooks; used by many threads.

    Proxies of the environment play no part, redirects are not followed, cookies are not kept: the
    checked address is the only place that is talked to.
    """

    def __init__(self, settings: Settings, *, resolver: Resolver = resolve) -> None:
        self._timeout = settings.webhook_timeout
        self._allowed = settings.webhook_allowed_networks
        self._resolver = resolver
        # The certificates of the environment's SSL_CERT_FILE, or else those that httpx trusts.
        self._ssl: ssl.SSLContext = httpx.create_ssl_context()

    def post(self, url: str, headers: dict[str, str], body: str) -> Outcome:
        """One attempt, at most the timeout long in all; no error of the network leaves it."""
        begun = time.monotonic()
        status, snippet, retry_after = None, "", None
        try:
            status, answered, retry_after = self._post(url, headers, body, begun + self._timeout)
            snippet = answered.decode("utf-8", "replace").replace("\x00", "�")
            error = None if 200 <= status < 300 else _explain(status)
        except (TargetRefusedError, TargetUnresolvedError) as refused:
            error = str(refused)
        except ValueError as invalid:
            error = f"the URL {invalid}"
        except httpcore.TimeoutException as late:
            doing = type(late).__name__.removesuffix("Timeout").lower()
            error = f"no answer within {self._timeout:g} s (while trying to {doing})"
        except _HTTP_ERRORS as failed:
            error = f"{type(failed).__name__}: {failed}"
        if error is not None:
            error = error.replace("\x00", "�")[:_MAX_REASON]
        return Outcome(error, status, snippet, time.monotonic() - begun, retry_after)

    def _post(
        self, url: str, headers: dict[str, str], body: str, deadline: float
    ) -> tuple[int, bytes, float | None]:
        target = parse_target(url)
        found = self._resolver(target.host, target.port, deadline - time.monotonic())
        addresses = check_addresses(target.host, found, self._allowed)
        with (
            httpcore.ConnectionPool(
                ssl_context=self._ssl, network_backend=PinnedBackend(addresses, deadline)
            ) as pool,
            pool.stream(
                "POST",
                httpcore.URL(
                    scheme=target.scheme, host=target.host, port=target.port, target=target.path
                ),
                headers=[("Host", target.authority), *headers.items(), *_HEADERS],
                content=body.encode(),
            ) as response,
        ):
            answered = b""
            try:
                for piece in response.iter_stream():
                    answered += piece[: SNIPPET_BYTES - len(answered)]
                    if len(answered) >= SNIPPET_BYTES:
                        break
            except _HTTP_ERRORS:
                # The status has been said; what it was followed by is only for the log.
                answered += b" [broken off]"
            return response.status, answered, _retry_after(response.headers)


def _explain(status: int) -> str:
    if 300 <= status < 400:
        return f"answered {status}: redirects are not followed; give the webhook the final URL"
    return f"answered {status}; 200 to 299 says that it was taken"


def _retry_after(headers: list[tuple[bytes, bytes]]) -> float | None:
    for name, value in headers:
        if name.lower() != b"retry-after":
            continue
        text = value.decode("latin-1").strip()
        if text.isascii() and text.isdigit() and len(text) < 9:
            return float(text)
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        return max((_aware(at) - now()).total_seconds(), 0.0)
    return None


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
