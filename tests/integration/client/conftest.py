"""A client of the real application behind a real socket, on a real Postgres."""

from collections.abc import Iterator

import pytest

from app.client import Client
from app.settings import Settings
from tests.support.api import DOCUMENTS, FEATURES, make_checkpoint, make_dictionary
from tests.support.serving import serving


@pytest.fixture
def api_url(settings: Settings) -> Iterator[str]:
    """Where the API is."""
    with serving(settings) as url:
        yield url


@pytest.fixture
def client(api_url: str) -> Iterator[Client]:
    """A client of it, with nothing registered."""
    with Client(api_url) as client:
        yield client


@pytest.fixture
def line(client: Client, settings: Settings) -> Client:
    """A client that has registered the model `bot` with the monitor `watch`."""
    root = settings.allowed_roots[0]
    client.models.create("bot")
    client.checkpoints.register("bot", "base", make_checkpoint(root / "base"))
    client.aliases.put("bot", "baseline", "base")
    client.corpora.create("probes", documents=DOCUMENTS)
    client.dictionaries.create("layer-1", make_dictionary(root / "sae"))
    client.feature_sets.publish("set", FEATURES)
    client.monitors.create(
        "watch", model="bot", corpus="probes", feature_set="set", baseline={"alias": "baseline"}
    )
    return client
