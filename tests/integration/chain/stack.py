"""The whole deployment: servers, Featuredrift's processes, Prometheus, Alertmanager, receivers."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx
from standardwebhooks import Webhook

from app.core.key_text import new_key
from tests.integration.chain import servers
from tests.integration.chain.processes import process, run
from tests.integration.deploy.test_reader_role import ROLE, run_script
from tests.integration.exporter.servers import Received, free_port, receiver
from tests.integration.webhooks.receiver import Receiver, receiving
from tests.support.deployment import documents, features_of_all_kinds, save_dictionary, wait_for
from tests.support.models import random_model, save_checkpoint, train_tokenizer

MODEL, MONITOR, FEATURES, DICTIONARY = "support-bot", "nightly", "contact-data", "layer-1"
WATCHED = ("direction", "latent")
TINY = {
    "FEATUREDRIFT_THREADS": "1",
    "FEATUREDRIFT_SEQUENCE_LENGTH": "64",
    "FEATUREDRIFT_BATCH_TOKENS": "512",
    "FEATUREDRIFT_TOKENS_PER_SHARD": "4096",
}
"""What fits models of three layers; all processes agree on it."""
POLICY: Mapping[str, Any] = {
    # Models and dictionaries are random here: no FVU is too bad, and controls have nothing to hold.
    "fvu_max": 1e9,
    "min_active_documents": 5,
    "controls": dict.fromkeys(
        (
            *("randomised_model", "numerics", "random_features", "permuted_labels"),
            "shuffled_pairing",
        ),
        False,
    ),
    "baselines": False,
}


@dataclass
class Chain:
    """The deployment from outside: addresses, what its people received, and what a job can post."""

    api: httpx.Client
    """What the training job has, with the key that set everything up."""
    browser: httpx.Client
    """Of whoever is on call: no key, but a session once they have signed in."""
    prometheus: httpx.Client
    models: Path
    pages: Received
    hooks: Receiver
    variables: dict[str, str]
    """What a shell on call knows: where the servers are, and the settings of `worker`."""
    secret: str = ""
    key: str = ""
    """Of whoever is on call; it may read and write."""

    def sign_in(self, page: str) -> httpx.Response:
        """What happens to whoever opens a page before they have signed in: the form, then this."""
        form = self.browser.get(page, follow_redirects=True)
        assert form.url.path == "/sign-in", form.url
        fields = dict(re.findall(r'name="(csrf_token|next)" value="([^"]*)"', form.text))
        fields = {name: unescape(value) for name, value in fields.items()}
        return self.browser.post("/sign-in", data=fields | {"key": self.key}, follow_redirects=True)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST that must succeed."""
        answer = self.api.post(path, json=dict(body))
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def checkpoint(
        self, name: str, *, turn: int | None = None, steps: int = 0, **body: Any
    ) -> dict[str, Any]:
        """What a training job does after a save: one call.

        Args:
            turn: seed of a rotation of the residual stream, which changes no answer of the model.
            steps: small steps of its weights since.
        """
        import torch

        from workers.demo.checkpoints import rotate

        folder = self.models / name
        if turn is None:
            save_checkpoint(folder)
        else:
            model = random_model("llama")
            rotate(model, seed=turn)
            with torch.no_grad():
                for weights in model.parameters():
                    weights += 1e-4 * steps * torch.randn(weights.shape)
            model.save_pretrained(folder)
            train_tokenizer().save_pretrained(folder)
        body = {"name": name, "source": str(folder), **body}
        return self.post(f"/v1/models/{MODEL}/checkpoints", body)

    def gate(self, checkpoint: str) -> str:
        """The gate's answer, once it is decided."""

        def decided() -> str | None:
            path = f"/v1/models/{MODEL}/checkpoints/{checkpoint}/gate"
            found: str = self.api.get(path, params={"wait": "30s"}).json()["gate"]
            return found if found != "pending" else None

        answer: str = wait_for(decided, 120)
        return answer

    def notices(self, status: str) -> list[dict[str, Any]]:
        """FeatureDrifted as Alertmanager's receiver of pages was told, `firing` or `resolved`."""
        return [
            alert
            for alert in self.pages.alerts("/pager")
            if alert["labels"]["alertname"] == "FeatureDrifted" and alert["status"] == status
        ]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The service's own events of a kind; each was verified by the secret."""
        verifier, found = Webhook(self.secret), []
        for request in list(self.hooks.received):
            event = verifier.verify(request.body, request.headers)
            assert event == json.loads(request.body)
            if event["type"] == kind:
                found.append(event)
        return found


@contextmanager
def chain(folder: Path, models: Path) -> Iterator[Chain]:
    """Everything started, migrated and connected; one model with a monitor and its baseline.

    Args:
        folder: of servers; another account can pass through.
        models: where checkpoints and dictionaries are saved.
    """
    ports = {name: free_port() for name in ("api", "exporter", "prometheus", "alertmanager")}
    at = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    with ExitStack() as stack:
        enter = stack.enter_context
        database_url = enter(servers.postgres(folder / "postgres"))
        redis_url = enter(servers.redis_server(folder / "redis"))
        run(folder / "migrate", "migrate", settings={"DATABASE_URL": database_url})
        run_script(database_url, "reader's own", folder)
        reader_url = str(httpx.URL(database_url).copy_with(username=ROLE, password="reader's own"))
        shared = TINY | {
            "FEATUREDRIFT_ARTIFACT_URL": (folder / "artifacts").as_uri(),
            "FEATUREDRIFT_MODEL_ROOTS": str(models),
            "FEATUREDRIFT_PUBLIC_URL": at["api"],
        }
        hooks, pages = enter(receiving()), enter(receiver())
        onto_this_machine = {"FEATUREDRIFT_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
        both = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
        worker = shared | both | {"FEATUREDRIFT_DEVICE": "cpu"}
        job, metrics = new_key(), new_key()
        (folder / "metrics_key").write_text(metrics)
        for name, settings in {
            "api": shared
            | onto_this_machine
            | {
                "DATABASE_URL": database_url,
                "FEATUREDRIFT_PORT": str(ports["api"]),
                "FEATUREDRIFT_REQUIRE_KEYS": "true",
                "FEATUREDRIFT_KEY_PEPPER": token_urlsafe(32),
                "FEATUREDRIFT_BOOTSTRAP_KEY": job,
                "FEATUREDRIFT_METRICS_KEY": metrics,
            },
            "dispatcher": shared | both | onto_this_machine,
            "worker": worker,
            "exporter": {
                "DATABASE_URL": reader_url,
                "FEATUREDRIFT_EXPORTER_PORT": str(ports["exporter"]),
                "FEATUREDRIFT_EXPORTER_REFRESH": "1",
            },
        }.items():
            enter(process(folder, name, settings))
        bearer = {"Authorization": f"Bearer {job}"}
        api = enter(httpx.Client(base_url=at["api"], timeout=60, headers=bearer))
        browser = enter(httpx.Client(base_url=at["api"], headers={"Accept": "text/html"}))
        wait_for(lambda: _answers(api, "/readyz"))
        wait_for(lambda: _answers(api, f"{at['exporter']}/healthz"))
        enter(servers.alertmanager(folder / "alertmanager", ports["alertmanager"], pages.url))
        enter(
            servers.prometheus(
                folder / "prometheus",
                ports["prometheus"],
                {
                    "http://127.0.0.1:8321": at["api"],
                    "exporter:9321": at["exporter"].removeprefix("http://"),
                    "api:8321": at["api"].removeprefix("http://"),
                    "127.0.0.1:9090": at["prometheus"].removeprefix("http://"),
                    "alertmanager:9093": at["alertmanager"].removeprefix("http://"),
                    "/run/secrets/featuredrift_metrics_key": str(folder / "metrics_key"),
                },
            )
        )
        variables = worker | {"EXPORTER": at["exporter"], "FEATUREDRIFT_URL": at["api"]}
        prometheus = enter(httpx.Client(base_url=at["prometheus"], timeout=30))
        found = Chain(api, browser, prometheus, models, pages, hooks, variables)
        _watch(found)
        yield found


def _watch(chain: Chain) -> None:
    """Register what somebody wants watched, and where to tell them."""
    chain.post("/v1/models", {"name": MODEL})
    # While nothing is the baseline, no evaluation starts.
    chain.checkpoint("base")
    for alias in ("baseline", "production"):
        path = f"/v1/models/{MODEL}/aliases/{alias}"
        assert chain.api.put(path, json={"checkpoint": "base"}).is_success
    chain.post("/v1/corpora", {"name": "probes", "documents": documents(120)})
    source = str(save_dictionary(chain.models / "dictionary"))
    chain.post("/v1/dictionaries", {"name": DICTIONARY, "source": source})
    features = features_of_all_kinds(DICTIONARY)
    chain.post("/v1/feature-sets", {"name": FEATURES, "features": features})
    chain.post(
        "/v1/monitors",
        {
            "name": MONITOR,
            "model": MODEL,
            "corpus": "probes",
            "feature_set": {"name": FEATURES},
            "baseline": {"alias": "baseline"},
            "watchlist": list(WATCHED),
            "policy": dict(POLICY),
        },
    )
    chain.key = chain.post("/v1/api-keys", {"name": "ada", "scope": "write"})["key"]
    chain.variables["FEATUREDRIFT_API_KEY"] = chain.key
    chain.secret = chain.post("/v1/webhooks", {"url": chain.hooks.url, "by": "ada"})["secret"]


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.TransportError:
        return False
