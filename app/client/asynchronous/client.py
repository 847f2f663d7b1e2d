"""The client: one object, one set of connections, everything of the API by name."""

from types import TracebackType
from typing import Self

import httpx

from app.client.asynchronous.definitions import AsyncCorpora, AsyncDictionaries, AsyncFeatureSets
from app.client.asynchronous.evaluations import AsyncEvaluations
from app.client.asynchronous.operations import AsyncAlerts, AsyncAudit, AsyncMonitors, AsyncRepairs
from app.client.asynchronous.registry import AsyncAliases, AsyncCheckpoints, AsyncModels
from app.client.asynchronous.transport import AsyncTransport
from app.client.asynchronous.webhooks import AsyncWebhooks
from app.client.protocol import Retries, Target


class AsyncClient:
    """A client of one Featuredrift.

    Args:
        url: where the API is; default: FEATUREDRIFT_URL, else http://127.0.0.1:8321.
        api_key: default: FEATUREDRIFT_API_KEY; sent as `Authorization: Bearer`.
        timeout: seconds for a connection and for each answer; waits come on top.
        retries: further attempts after answers 429, 502, 503 and 504 and lost connections, where
            a second attempt cannot have a second effect.
        transport: of httpx, in place of the network.

    Raises:
        ConfigurationError: the address or the key cannot be one.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.transport = AsyncTransport(
            Target.of(url, api_key),
            timeout=timeout,
            retries=Retries(most=retries),
            transport=transport,
        )
        self.models = AsyncModels(self.transport)
        self.checkpoints = AsyncCheckpoints(self.transport)
        self.aliases = AsyncAliases(self.transport)
        self.corpora = AsyncCorpora(self.transport)
        self.dictionaries = AsyncDictionaries(self.transport)
        self.feature_sets = AsyncFeatureSets(self.transport)
        self.monitors = AsyncMonitors(self.transport)
        self.evaluations = AsyncEvaluations(self.transport)
        self.alerts = AsyncAlerts(self.transport)
        self.repairs = AsyncRepairs(self.transport)
        self.webhooks = AsyncWebhooks(self.transport)
        self.audit = AsyncAudit(self.transport)

    @property
    def url(self) -> str:
        """Where the API is."""
        return self.transport.target.url

    async def aclose(self) -> None:
        """Close the connections."""
        await self.transport.aclose()

    async def __aenter__(self) -> Self:
        """The client itself; its connections are closed at the end of the block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.aclose()

    def __repr__(self) -> str:
        """The address, never the key."""
        return f"AsyncClient({self.url!r})"
