"""Sending requests: connections are kept, failures that may pass are tried again."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from app.client.protocol import (
    PAGE_SIZE,
    Retries,
    Target,
    check,
    closed,
    content_of,
    parse,
    path_of,
    query_of,
    request_headers,
    unreachable,
)
from app.client.waiting import async_pause
from app.core.schemas import Output, Page

Shape = TypeVar("Shape")
Item = TypeVar("Item", bound=Output)


class AsyncTransport:
    """Requests to one API.

    Raises, from every method:
        ApiError: the API refused.
        UnreachableError: it does not answer.
        NotTheApiError: something else answers.
    """

    def __init__(
        self,
        target: Target,
        *,
        timeout: float,
        retries: Retries,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.target = target
        self._timeout = timeout
        self._retries = retries
        self._http = httpx.AsyncClient(
            base_url=target.url, headers=target.headers(), timeout=timeout, transport=transport
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | None = None,
        content: bytes | None = None,
        content_type: str = "application/json",
        version: int | None = None,
        wait: float | None = None,
        idempotency_key: str | None = None,
    ) -> httpx.Response:
        """Send a request, again if need be; the successful answer.

        Args:
            path: from `/v1/` on.
            body, content: a schema, or bytes of `content_type`.
            version: what was read; sent as `If-Match`.
            wait: seconds that the server may take to answer a long poll.
        """
        if self._http.is_closed:
            raise closed()
        params = dict(query or {})
        timeout = httpx.Timeout(self._timeout)
        if wait is not None:
            params["wait"] = f"{wait:.3f}s"
            timeout = httpx.Timeout(self._timeout, read=self._timeout + wait)
        headers = request_headers(method, version, idempotency_key)
        data = content_of(body) if body is not None else content
        if data is not None:
            headers["Content-Type"] = content_type
        request = self._http.build_request(
            method, path, params=query_of(params), content=data, headers=headers, timeout=timeout
        )
        sent = 0
        while True:
            sent += 1
            try:
                response = await self._http.send(request)
            except httpx.TransportError as error:
                again = self._retries.after_error(request, error, sent)
                if again is None:
                    raise unreachable(self.target, error) from error
            else:
                again = self._retries.after_answer(request, response, sent)
                if again is None:
                    return check(self.target, response)
            await async_pause(again)

    async def read(self, shape: type[Shape], method: str, path: str, **arguments: Any) -> Shape:
        """Send a request; the answer's body as `shape`."""
        found: Shape = parse(self.target, shape, await self.send(method, path, **arguments))
        return found

    async def pages(
        self,
        shape: type[Item],
        *path: object,
        query: Mapping[str, Any] | None = None,
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[Item]:
        """All items of a list, fetched page by page as they are asked for."""
        which = {**(query or {}), "limit": page_size}
        while True:
            page = await self.read(Page[shape], "GET", path_of(*path), query=which)  # type: ignore[valid-type]
            for item in page.items:
                yield item
            if page.next_cursor is None:
                return
            which["cursor"] = page.next_cursor
