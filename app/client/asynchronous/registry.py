"""Models, checkpoints, aliases."""

from collections.abc import AsyncIterator

from app.client.asynchronous.transport import AsyncTransport
from app.client.errors import UnreachableError
from app.client.protocol import POLL_SECONDS, build, given, parse, path_of
from app.client.results import Registration
from app.client.waiting import Deadline, async_pause
from app.registry.schemas.models import (
    AliasOut,
    AliasPut,
    CheckpointCreate,
    CheckpointOut,
    CheckpointPatch,
    ModelCreate,
    ModelOut,
)
from app.verdicts.schemas import GateOut

_PAUSE = 1.0


class AsyncModels:
    """Lines of checkpoints that replace each other in production."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(self, name: str, description: str | None = None) -> ModelOut:
        """Register a model; the same again gives what is there."""
        body = build(ModelCreate, name=name, **given(description=description))
        return await self._transport.read(ModelOut, "POST", path_of("models"), body=body)

    async def get(self, model: str) -> ModelOut:
        """A model."""
        return await self._transport.read(ModelOut, "GET", path_of("models", model))

    def list(self) -> AsyncIterator[ModelOut]:
        """Models, newest first."""
        return self._transport.pages(ModelOut, "models")


class AsyncCheckpoints:
    """Immutable sets of weights."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def register(
        self,
        model: str,
        name: str,
        source: str,
        *,
        revision: str | None = None,
        parent: str | None = None,
        digest: str | None = None,
        benign: bool = False,
        note: str | None = None,
        idempotency_key: str | None = None,
    ) -> Registration:
        """Register a checkpoint: one evaluation starts for each enabled monitor of the model.

        Args:
            source: a directory under an allowed root, an `s3://`-style URI, or `hf://owner/name`.
            parent: what it was made from; default: the one registered before.
            digest: SHA-256 of the weights, checked when they are read.
            benign: known to be a harmless update.

        Raises:
            ConflictError: the name is registered with other content.
        """
        body = build(
            CheckpointCreate,
            name=name,
            source=source,
            **given(revision=revision, parent=parent, digest=digest, note=note),
            **({"benign": True} if benign else {}),
        )
        response = await self._transport.send(
            "POST",
            path_of("models", model, "checkpoints"),
            body=body,
            idempotency_key=idempotency_key,
        )
        found: CheckpointOut = parse(self._transport.target, CheckpointOut, response)
        return Registration(checkpoint=found, new=response.status_code != 200)

    async def get(self, model: str, checkpoint: str) -> CheckpointOut:
        """A checkpoint, with what a worker found when it read the files."""
        path = path_of("models", model, "checkpoints", checkpoint)
        return await self._transport.read(CheckpointOut, "GET", path)

    def list(self, model: str) -> AsyncIterator[CheckpointOut]:
        """Checkpoints of a model, newest first."""
        return self._transport.pages(CheckpointOut, "models", model, "checkpoints")

    async def mark_benign(
        self,
        model: str,
        checkpoint: str,
        benign: bool = True,
        *,
        by: str,
        note: str | None = None,
        version: int | None = None,
    ) -> CheckpointOut:
        """Say that an update is known to be harmless, or lift that mark; it widens margins.

        Args:
            by: who says so, for the audit trail.
            version: the one that was read; default: the one that holds now.
        """
        body = build(CheckpointPatch, benign=benign, by=by, **given(note=note))
        if version is None:
            version = (await self.get(model, checkpoint)).version
        path = path_of("models", model, "checkpoints", checkpoint)
        return await self._transport.read(CheckpointOut, "PATCH", path, body=body, version=version)

    async def gate(self, model: str, checkpoint: str, *, wait: float | None = None) -> GateOut:
        """May this checkpoint go out? As it is known now, or after one wait of some seconds."""
        path = path_of("models", model, "checkpoints", checkpoint, "gate")
        return await self._transport.read(GateOut, "GET", path, wait=wait)

    async def wait_for_gate(
        self, model: str, checkpoint: str, *, timeout: float | None = None
    ) -> GateOut:
        """Wait until the gate has decided; `gate` is `pending` if it has not within `timeout`.

        Once the API has answered, it may be away for a while: it is waited for.

        Args:
            timeout: seconds; default: as long as it takes.
        """
        deadline = Deadline(timeout)
        answered = False
        while True:
            try:
                wait = min(POLL_SECONDS, deadline.left)
                found = await self.gate(model, checkpoint, wait=wait)
            except UnreachableError:
                if not answered or deadline.left <= 0:
                    raise
                await async_pause(min(_PAUSE, deadline.left))
                continue
            answered = True
            if found.gate != "pending" or deadline.left <= 0:
                return found
            await async_pause(min(_PAUSE / 5, deadline.left))


class AsyncAliases:
    """Movable names for checkpoints, such as `baseline`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(self, model: str) -> AsyncIterator[AliasOut]:
        """Aliases of a model, newest first."""
        return self._transport.pages(AliasOut, "models", model, "aliases")

    async def get(self, model: str, alias: str) -> AliasOut:
        """Where an alias points."""
        path = path_of("models", model, "aliases", alias)
        return await self._transport.read(AliasOut, "GET", path)

    async def put(
        self, model: str, alias: str, checkpoint: str, *, version: int | None = None
    ) -> AliasOut:
        """Make an alias, or move it.

        Args:
            version: the one that was read, which moving needs.

        Raises:
            PreconditionError: it is there and `version` is not the one that holds.
        """
        body = build(AliasPut, checkpoint=checkpoint)
        path = path_of("models", model, "aliases", alias)
        return await self._transport.read(AliasOut, "PUT", path, body=body, version=version)

    async def delete(self, model: str, alias: str, *, version: int) -> None:
        """Remove an alias; monitors that follow it cannot start without it."""
        path = path_of("models", model, "aliases", alias)
        await self._transport.send("DELETE", path, version=version)
