"""Putting the question to the API, and fetching what its answer rests on."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx

from app.cli.check.exits import CheckError

POLL_SECONDS = 30
_PAUSE = 1.0
_PAGE = 500
_NAMES_AT_ONCE = 100


class UnavailableNowError(CheckError):
    """The API does not answer now; it may soon."""


class Api:
    """The few requests that a check makes.

    Raises, from every method:
        CheckError: the API refused, with its own words; UnavailableNowError when it is away.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def register(self, model: str, body: dict[str, str]) -> bool:
        """Register a checkpoint; whether it is new."""
        path = f"/v1/models/{quote(model, safe='')}/checkpoints"
        return self._send("POST", path, json=body).status_code != httpx.codes.OK

    def wait_for_gate(self, model: str, checkpoint: str, deadline: float) -> dict[str, Any]:
        """Long-poll until it has decided, or time is up; an API that restarts is waited for.

        Args:
            deadline: on the monotonic clock.
        """
        path = f"/v1/models/{quote(model, safe='')}/checkpoints/{quote(checkpoint, safe='')}/gate"
        answered = False
        while True:
            left = deadline - time.monotonic()
            try:
                seconds = max(0, min(POLL_SECONDS, int(left)))
                response = self._send("GET", path, params={"wait": f"{seconds}s"})
            except UnavailableNowError:
                if not answered or left <= 0:
                    raise
                time.sleep(min(_PAUSE, max(0.0, left)))
                continue
            answered = True
            gate: dict[str, Any] = _object(response)
            if gate["gate"] != "pending" or left <= 0:
                return gate
            time.sleep(min(_PAUSE / 5, max(0.0, left)))

    def evaluation(self, identity: str) -> dict[str, Any]:
        """An evaluation with its controls."""
        return _object(self._send("GET", f"/v1/evaluations/{quote(identity, safe='')}"))

    def monitor(self, name: str) -> dict[str, Any]:
        """A monitor."""
        return _object(self._send("GET", f"/v1/monitors/{quote(name, safe='')}"))

    def verdicts(self, evaluation: str, **which: Any) -> list[dict[str, Any]]:
        """Verdicts of the comparison with the baseline, the worst first."""
        path = f"/v1/evaluations/{quote(evaluation, safe='')}/verdicts"
        names = which.pop("feature", None)
        if names is None:
            return list(self._pages(path, {"comparison": "baseline", **which}))
        found: list[dict[str, Any]] = []
        for start in range(0, len(names), _NAMES_AT_ONCE):
            some = {"feature": names[start : start + _NAMES_AT_ONCE]}
            found.extend(self._pages(path, {"comparison": "baseline", **which, **some}))
        return found

    def repairs(self, evaluation: str) -> list[dict[str, Any]]:
        """Repairs of the baseline comparison that wait for a decision."""
        which = {"evaluation": evaluation, "state": "proposed"}
        return [r for r in self._pages("/v1/repairs", which) if r["comparison"] == "baseline"]

    def _pages(self, path: str, which: dict[str, Any]) -> Iterator[dict[str, Any]]:
        params = {**which, "limit": _PAGE}
        while True:
            page = _object(self._send("GET", path, params=params))
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            params["cursor"] = page["next_cursor"]

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise UnavailableNowError(
                f"The API at {self._client.base_url} does not answer: {error}. Start it "
                "(`featuredrift up`), or name another by --url or FEATUREDRIFT_URL."
            ) from error
        except httpx.InvalidURL as error:
            raise CheckError(f"{self._client.base_url} is no URL: {error}") from error
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise UnavailableNowError(_problem(response))
        if not response.is_success:
            raise CheckError(_problem(response))
        return response


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise CheckError(
            f"{response.request.url} is not the API of Featuredrift: it answered "
            f"{response.text[:200]!r}; check --url"
        )
    return found


def _problem(response: httpx.Response) -> str:
    """The detail of a problem document, or what else the answer says."""
    try:
        document = response.json()
        detail = document["detail"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return f"{response.request.url} answered {response.status_code}: {response.text[:300]}"
    field = f" (field {document['field']!r})" if document.get("field") else ""
    return f"{detail}{field}"
