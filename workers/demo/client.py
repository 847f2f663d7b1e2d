"""The REST calls of the demo: what a training or release pipeline would send."""

import json
import os
from types import TracebackType
from typing import Any, Self

import httpx

_WAIT_SECONDS = 30
_VERDICTS_PAGE = 500


class RefusedError(Exception):
    """The API did not do what was asked; the message says what it said."""


class Client:
    """A thin client: JSON in, JSON out, refusals as `RefusedError`."""

    def __init__(self, base_url: str) -> None:
        key = os.environ.get("FEATUREDRIFT_API_KEY")
        self._http = httpx.Client(
            base_url=f"{base_url}/v1",
            timeout=_WAIT_SECONDS + 30,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int) -> Any:
        """The resource at `path`."""
        return self._answer(self._http.get(path, params=query))

    def post(self, path: str, body: Any) -> Any:
        """The resource made, or found: registering the same content again finds it."""
        return self._answer(self._http.post(path, json=body))

    def post_jsonl(self, path: str, content: bytes, **query: str) -> Any:
        """A resource made of JSON Lines."""
        headers = {"Content-Type": "application/jsonl"}
        return self._answer(self._http.post(path, content=content, params=query, headers=headers))

    def point_alias(self, model: str, alias: str, checkpoint: str) -> None:
        """Let an alias point at a checkpoint, unless it does."""
        path = f"/models/{model}/aliases/{alias}"
        found = self._http.get(path)
        headers = {"If-Match": found.headers["ETag"]} if found.is_success else {}
        if found.is_success and found.json()["checkpoint"] == checkpoint:
            return
        self._answer(self._http.put(path, json={"checkpoint": checkpoint}, headers=headers))

    def wait_for_evaluation(self, evaluation: str, seconds: int = 20) -> Any:
        """The evaluation when it is finished, or as it is after some seconds."""
        return self.get(f"/evaluations/{evaluation}", wait=f"{seconds}s")

    def gate(self, model: str, checkpoint: str) -> Any:
        """The gate's answer; waits while it is pending."""
        path = f"/models/{model}/checkpoints/{checkpoint}/gate"
        while (answer := self.get(path, wait=f"{_WAIT_SECONDS}s"))["gate"] == "pending":
            pass
        return answer

    def verdicts(self, evaluation: str, comparison: str) -> list[dict[str, Any]]:
        """All verdicts of one comparison of an evaluation."""
        path = f"/evaluations/{evaluation}/verdicts"
        query: dict[str, str | int] = {"comparison": comparison, "limit": _VERDICTS_PAGE}
        items: list[dict[str, Any]] = []
        while True:
            page = self.get(path, **query)
            items.extend(page["items"])
            if page["next_cursor"] is None:
                return items
            query["cursor"] = page["next_cursor"]

    def _answer(self, response: httpx.Response) -> Any:
        if response.is_success:
            return response.json()
        try:
            detail = response.json()["detail"]
        except (json.JSONDecodeError, KeyError, TypeError):
            detail = response.text[:300]
        request = response.request
        raise RefusedError(
            f"{request.method} {request.url.path} answered {response.status_code}: {detail}"
        )
