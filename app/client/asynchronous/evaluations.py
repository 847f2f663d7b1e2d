"""Evaluations: started, waited for, read."""

from collections.abc import AsyncIterator, Sequence
from typing import Literal
from uuid import UUID

from app.client.asynchronous.transport import AsyncTransport
from app.client.comparison import Comparison
from app.client.errors import UnreachableError, WaitTimeoutError
from app.client.protocol import PAGE_SIZE, POLL_SECONDS, build, path_of, several
from app.client.waiting import Deadline, async_pause
from app.evaluations.schemas import EvaluationCreate, EvaluationOut, State
from app.verdicts.passages_schemas import FeaturePassages, PassagesOut
from app.verdicts.schemas import (
    CausalVerdict,
    Change,
    Diagnosis,
    EarnsKeep,
    Sort,
    VerdictName,
    VerdictOut,
)

_NAMES_AT_ONCE = 100
_PAUSE = 1.0
_OPEN = frozenset({"queued", "running"})

Side = Literal["baseline", "previous"]


class AsyncEvaluations:
    """One monitor's question about one checkpoint each, and its answer."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self, monitor: str, checkpoint: str, *, idempotency_key: str | None = None
    ) -> EvaluationOut:
        """Evaluate a checkpoint with a monitor now. The same inputs have one evaluation, ever."""
        body = build(EvaluationCreate, monitor=monitor, checkpoint=checkpoint)
        path = path_of("evaluations")
        return await self._transport.read(
            EvaluationOut, "POST", path, body=body, idempotency_key=idempotency_key
        )

    async def get(self, evaluation: UUID | str, *, wait: float | None = None) -> EvaluationOut:
        """An evaluation; with `wait`, when it has ended or after so many seconds."""
        path = path_of("evaluations", evaluation)
        return await self._transport.read(EvaluationOut, "GET", path, wait=wait)

    def list(
        self,
        *,
        model: str | None = None,
        checkpoint: str | None = None,
        monitor: str | None = None,
        state: State | None = None,
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[EvaluationOut]:
        """Evaluations, newest first."""
        query = {"model": model, "checkpoint": checkpoint, "monitor": monitor, "state": state}
        return self._transport.pages(EvaluationOut, "evaluations", query=query, page_size=page_size)

    async def watch(
        self,
        evaluation: UUID | str,
        *,
        timeout: float | None = None,
        interval: float = 1.0,
    ) -> AsyncIterator[EvaluationOut]:
        """It as it is now, then each time that it has changed; ends when it has ended.

        Once the API has answered, it may be away for a while: it is waited for.

        Args:
            timeout: seconds; default: as long as it takes.
            interval: seconds between two looks; its end is seen at once.

        Raises:
            WaitTimeoutError: it has not ended in time.
        """
        deadline = Deadline(timeout)
        last: EvaluationOut | None = None
        while True:
            look = Deadline(interval)
            try:
                wait = None if last is None else min(interval, deadline.left)
                found = await self.get(evaluation, wait=wait)
            except UnreachableError:
                if last is None or deadline.left <= 0:
                    raise
                await async_pause(min(interval, deadline.left, _PAUSE))
                continue
            if found != last:
                yield found
            waited, last = last is not None, found
            if found.state not in _OPEN:
                return
            if deadline.left <= 0:
                raise WaitTimeoutError(
                    f"evaluation {evaluation} is {found.state} after {timeout:g} s; it goes on",
                    found,
                )
            if waited:
                # A server that is busy, or waits for less long, answers before the time is up.
                await async_pause(min(look.left, deadline.left, _PAUSE))

    async def wait(self, evaluation: UUID | str, *, timeout: float | None = None) -> EvaluationOut:
        """It, when it has ended: succeeded, failed or cancelled.

        Raises:
            WaitTimeoutError: it has not ended in time.
        """
        async for found in self.watch(evaluation, timeout=timeout, interval=POLL_SECONDS):
            last = found
        return last

    async def cancel(self, evaluation: UUID | str) -> EvaluationOut:
        """Stop an open evaluation."""
        path = path_of("evaluations", f"{evaluation}:cancel")
        return await self._transport.read(EvaluationOut, "POST", path)

    async def retry(self, evaluation: UUID | str) -> EvaluationOut:
        """Work again on a failed or cancelled evaluation; finished snapshots are kept."""
        path = path_of("evaluations", f"{evaluation}:retry")
        return await self._transport.read(EvaluationOut, "POST", path)

    async def verdicts(
        self,
        evaluation: UUID | str,
        *,
        comparison: Side | None = None,
        verdict: VerdictName | Sequence[VerdictName] = (),
        change: Change | Sequence[Change] = (),
        diagnosis: Diagnosis | Sequence[Diagnosis] = (),
        feature: str | Sequence[str] = (),
        earns_keep: EarnsKeep | Sequence[EarnsKeep] = (),
        causal_verdict: CausalVerdict | Sequence[CausalVerdict] = (),
        paged: bool | None = None,
        slow_drift: bool | None = None,
        token_level: bool | None = None,
        sort: Sort = "effect",
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[VerdictOut]:
        """Verdicts, by default the largest effect first; fetched as they are asked for.

        Several values of one filter mean any of them. More than 100 names of features are asked
        for a hundred at a time, each hundred in its own order.
        """
        query = {
            "comparison": comparison,
            "verdict": several(verdict),
            "change": several(change),
            "diagnosis": several(diagnosis),
            "earns_keep": several(earns_keep),
            "causal_verdict": several(causal_verdict),
            "paged": paged,
            "slow_drift": slow_drift,
            "token_level": token_level,
            "sort": sort,
        }
        names = several(feature)
        for start in range(0, max(1, len(names)), _NAMES_AT_ONCE):
            some = {**query, "feature": names[start : start + _NAMES_AT_ONCE]}
            path = ("evaluations", evaluation, "verdicts")
            async for found in self._transport.pages(
                VerdictOut, *path, query=some, page_size=page_size
            ):
                yield found

    async def comparison(
        self, evaluation: UUID | str | EvaluationOut, which: Side = "baseline"
    ) -> Comparison:
        """All verdicts of one comparison, as a table for notebooks."""
        if isinstance(evaluation, EvaluationOut):
            found = evaluation
        else:
            found = await self.get(evaluation)
        verdicts = [row async for row in self.verdicts(found.id, comparison=which)]
        return Comparison(evaluation=found, which=which, verdicts=tuple(verdicts))

    async def passages(
        self,
        evaluation: UUID | str,
        *,
        comparison: Side = "baseline",
        feature: str | Sequence[str] = (),
    ) -> Sequence[FeaturePassages]:
        """Where features changed most, in context, before and after: illustrations."""
        query = {"comparison": comparison, "feature": several(feature)}
        path = path_of("evaluations", evaluation, "passages")
        return (await self._transport.read(PassagesOut, "GET", path, query=query)).items
