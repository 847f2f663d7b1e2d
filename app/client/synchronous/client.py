# Written by `make client` from app/client/asynchronous; change it there.
"""The client: one object, one set of connections, everything of the API by name."""

from types import TracebackType
from typing import Self

import httpx

from app.client.protocol import Retries, Target
from app.client.synchronous.definitions import Corpora, Dictionaries, FeatureSets
from app.client.synchronous.evaluations import Evaluations
from app.client.synchronous.operations import Alerts, Audit, Monitors, Repairs
from app.client.synchronous.registry import Aliases, Checkpoints, Models
from app.client.synchronous.transport import Transport
from app.client.synchronous.webhooks import Webhooks


class Client:
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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.transport = Transport(
            Target.of(url, api_key),
            timeout=timeout,
            retries=Retries(most=retries),
            transport=transport,
        )
        self.models = Models(self.transport)
        self.checkpoints = Checkpoints(self.transport)
        self.aliases = Aliases(self.transport)
        self.corpora = Corpora(self.transport)
        self.dictionaries = Dictionaries(self.transport)
        self.feature_sets = FeatureSets(self.transport)
        self.monitors = Monitors(self.transport)
        self.evaluations = Evaluations(self.transport)
        self.alerts = Alerts(self.transport)
        self.repairs = Repairs(self.transport)
        self.webhooks = Webhooks(self.transport)
        self.audit = Audit(self.transport)

    @property
    def url(self) -> str:
        """Where the API is."""
        return self.transport.target.url

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def __enter__(self) -> Self:
        """The client itself; its connections are closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def __repr__(self) -> str:
        """The address, never the key."""
        return f"Client({self.url!r})"
