"""Putting the question to the API, and fetching what its answer rests on."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from app.cli.check.exits import CheckError
from app.cli.check.waiting import Tell
from app.cli.remote import what_shows
from app.client import ApiError, Client, ClientError, UnreachableError
from app.client.protocol import given, path_of
from app.evaluations.schemas import EvaluationOut
from app.verdicts.schemas import GateOut

_PAUSE = 1.0


@contextmanager
def connected(url: str) -> "Iterator[Api]":
    """The API there. Errors come at once; waiting for the gate alone is patient.

    Raises:
        CheckError: it cannot be there.
    """
    with _told(), Client(url, retries=0) as client:
        yield Api(client)


class Api:
    """The few requests that a check makes.

    Raises, from every method:
        CheckError: the API refused, with its own words, or it is away.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def register(
        self, model: str, name: str, source: str, *, revision: str | None, parent: str | None
    ) -> bool:
        """Register a checkpoint; whether it is new."""
        # Names are judged by the service: a pipeline may be older than it.
        asked = given(name=name, source=source, revision=revision, parent=parent)
        with _told():
            response = self._client.transport.send(
                "POST", path_of("models", model, "checkpoints"), content=json.dumps(asked).encode()
            )
        return response.status_code != httpx.codes.OK

    def wait_for_gate(
        self, model: str, checkpoint: str, deadline: float, tell: Tell, *, every: float
    ) -> dict[str, Any]:
        """Long-poll until it has decided, or time is up; an API that restarts is waited for.

        Args:
            deadline: on the monotonic clock.
            tell: hears how far the evaluations are.
            every: seconds between that.
        """
        # The first look is at once, so that what is waited for is told from the start.
        answered, patience = False, 0.0
        with _told():
            while True:
                left = max(0.0, deadline - time.monotonic())
                try:
                    gate = self._client.checkpoints.wait_for_gate(
                        model, checkpoint, timeout=min(left, patience)
                    )
                    answered = True
                    if gate.gate != "pending" or left <= patience:
                        return gate.model_dump(mode="json")
                    patience = every
                    tell(self._open(gate))
                except UnreachableError:
                    if not answered or left <= 0:
                        raise
                    time.sleep(min(_PAUSE, left))

    def _open(self, gate: GateOut) -> list[EvaluationOut]:
        """The evaluations that are waited for."""
        get = self._client.evaluations.get
        return [get(one.evaluation) for one in gate.monitors if one.evaluation is not None]

    def evaluation(self, identity: str) -> dict[str, Any]:
        """An evaluation with its controls."""
        with _told():
            return self._client.evaluations.get(identity).model_dump(mode="json")

    def monitor(self, name: str) -> dict[str, Any]:
        """A monitor."""
        with _told():
            return self._client.monitors.get(name).model_dump(mode="json")

    def verdicts(self, evaluation: str, **which: Any) -> list[dict[str, Any]]:
        """Verdicts of the comparison with the baseline, the worst first."""
        if which.get("feature") == []:
            return []
        with _told():
            found = self._client.evaluations.verdicts(evaluation, comparison="baseline", **which)
            return [row.model_dump(mode="json") for row in found]

    def repairs(self, evaluation: str) -> list[dict[str, Any]]:
        """Repairs of the baseline comparison that wait for a decision."""
        with _told():
            found = self._client.repairs.list(evaluation=evaluation, state="proposed")
            return [row.model_dump(mode="json") for row in found if row.comparison == "baseline"]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        more = ""
        if isinstance(error, ApiError):
            field = f" (field {error.field!r})" if error.field else ""
            shown = what_shows(error)
            more = field + (f"; {shown}" if shown else "")
        raise CheckError(f"{error}{more}") from error
