"""Settings: read once, typed, printed without secrets by `featuredrift settings`."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AliasChoices, Field, IPvAnyNetwork, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from app.core.key_text import is_whole as is_whole_key
from app.integrations.mlflow.mapping import MlflowModel

SECRETS_DIR = Path("/run/secrets")
LONGEST_SESSION = 30 * 86400.0


class Settings(BaseSettings):
    """Everything that can be configured, from environment variables `FEATUREDRIFT_…`.

    `DATABASE_URL` and `REDIS_URL` are read without the prefix as well. All times are in seconds.
    What no variable sets is looked for in the secrets folder, in a file of the variable's name in
    lower case: `/run/secrets/database_url`.
    """

    model_config = SettingsConfigDict(
        # A value that is refused may be a secret, and errors are printed.
        env_prefix="FEATUREDRIFT_",
        extra="ignore",
        hide_input_in_errors=True,
    )

    database_url: str = Field(
        default="postgresql+psycopg://localhost/featuredrift",
        validation_alias=AliasChoices("DATABASE_URL", "FEATUREDRIFT_DATABASE_URL"),
        description="Postgres, where everything is kept.",
    )
    redis_url: str = Field(
        default="redis://localhost:6379/0",
        validation_alias=AliasChoices("REDIS_URL", "FEATUREDRIFT_REDIS_URL"),
        description="Redis, which carries messages to workers and keeps nothing.",
    )
    secrets_dir: Path = Field(
        default=SECRETS_DIR, description="Folder of files that hold settings, one each."
    )
    data_dir: Path = Field(
        default=Path(".featuredrift"), description="Folder of everything that this machine keeps."
    )
    artifact_url: str | None = Field(
        default=None, description="fsspec URL of the artifact store; default: <data_dir>/artifacts"
    )
    artifact_cache_bytes: int = Field(
        default=20 << 30,
        ge=0,
        description="Copies of remote artifacts that a worker keeps take so much; 0: no limit.",
    )
    model_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="Local checkpoints and dictionaries must lie under one of these."
    )
    allow_hub: bool = Field(default=False, description="Allow sources on the Hugging Face hub.")

    host: str = Field(default="127.0.0.1", description="Address that the API listens on.")
    port: int = Field(default=8321, ge=0, le=65535, description="Port that the API listens on.")
    allow_unauthenticated_bind: bool = Field(
        default=False,
        description="Let `featuredrift api` listen beyond loopback without API keys.",
    )
    require_keys: bool = Field(
        default=False,
        description="Answer only who sends an API key. Beyond loopback it is so in any case, "
        "unless allow_unauthenticated_bind is set.",
    )
    key_pepper: str | None = Field(
        default=None,
        min_length=32,
        description="The secret that API keys are digested with; without, no key works beyond one "
        "machine, where <data_dir>/key_pepper is made.",
    )
    bootstrap_key: str | None = Field(
        default=None, description="An admin key for as long as it is set: to make the first keys."
    )
    metrics_key: str | None = Field(
        default=None, description="A key for /metrics of the API, and for nothing else."
    )
    session_secret: str | None = Field(
        default=None,
        description="What sessions of the web pages are signed with, at least 32 characters; of "
        "several, separated by commas, the first signs and all are good. Default: derived from "
        "key_pepper, else <data_dir>/session_secret, which is made.",
    )
    session_lifetime: float = Field(
        default=12 * 3600.0, ge=60, le=LONGEST_SESSION, description="Of a sign-in to the web pages."
    )
    max_body_bytes: int = Field(default=64 << 20, ge=1024, description="Larger requests get 413.")
    header_timeout: float = Field(
        default=10.0, gt=0, description="For a request's headers to arrive, else it is hung up."
    )
    body_timeout: float = Field(
        default=120.0, gt=0, description="For a request's body to arrive, else it gets 408."
    )
    long_poll_max: float = Field(default=60.0, ge=0, description="Bound of `?wait=`.")
    public_url: str = Field(
        default="",
        description="Base of the links in alerts, webhooks and metrics; default: http://host:port",
    )
    runbook_url: str = Field(
        default="",
        description="Where alerts' links to runbooks lead; default: <public_url>/runbooks",
    )
    metrics_in_api: bool = Field(default=False, description="Serve /metrics from the API process.")

    queue: str = Field(
        default="featuredrift",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Name of the broker's queue; deployments that share a Redis need one each.",
    )

    # The job ledger. Heartbeat < lease, and soft < hard < visibility, are checked at start.
    lease_seconds: float = Field(
        default=60.0, gt=0, description="A worker that is silent for so long loses its shard."
    )
    heartbeat_seconds: float = Field(
        default=10.0, gt=0, description="How often a worker renews its lease."
    )
    max_attempts: int = Field(
        default=3, ge=1, description="A shard that was tried so often fails its evaluation."
    )
    shard_soft_limit: float = Field(
        default=1500.0, gt=0, description="A shard is asked to end after this."
    )
    shard_hard_limit: float = Field(
        default=1800.0,
        gt=0,
        description="The process of a shard that goes on is killed after this.",
    )
    visibility_timeout: float = Field(
        default=3600.0, gt=0, description="The broker sends a message again after this."
    )
    dispatch_interval: float = Field(
        default=0.2, gt=0, description="How often the dispatcher looks for messages."
    )
    max_queued_evaluations: int = Field(
        default=10_000,
        ge=0,
        description="Evaluations that may wait for a worker; a POST that would start another is "
        "answered 429 with Retry-After. 0: any number.",
    )
    republish_after: float = Field(
        default=30.0, gt=0, description="A queued shard that nobody claimed is announced again."
    )

    # Capture.
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="What models run on; auto: a GPU where there is one."
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Of weights and activations; a part of the numerics."
    )
    attn_implementation: Literal["eager", "sdpa"] = Field(
        default="sdpa", description="Attention kernel; a part of the numerics."
    )
    threads: int = Field(default=2, ge=1, description="Intra-op threads of one worker child.")
    preload: bool = Field(
        default=True,
        description="Worker children import torch and SAELens when they start, seconds that the "
        "first shard would wait for; without it, when a shard needs them.",
    )
    sequence_length: int = Field(
        default=512, ge=8, description="Longer documents are read in pieces of so many tokens."
    )
    batch_tokens: int = Field(
        default=8192, ge=64, description="Tokens of a batch, padding included."
    )
    tokens_per_shard: int = Field(
        default=262144, ge=64, description="Tokens of one piece of a capture."
    )
    child_memory_bytes: int = Field(
        default=0,
        ge=0,
        description="What one worker child may allocate; 0: what the machine or container has, and "
        "no limit beside an accelerator, whose driver maps more.",
    )
    loaded_models: int = Field(default=2, ge=1, description="Checkpoints kept loaded by a child.")

    exporter_host: str = Field(
        default="127.0.0.1", description="Address that the exporter listens on."
    )
    exporter_port: int = Field(
        default=9321, ge=0, le=65535, description="Port that the exporter listens on."
    )
    exporter_refresh: float = Field(
        default=5.0, gt=0, description="How often the exporter reads Postgres."
    )
    exporter_statement_timeout: float = Field(
        default=5.0, gt=0, description="Of one statement of the exporter."
    )

    # Webhooks: where they may go, and for how long a delivery is tried again.
    webhook_allowed_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        default=(),
        description="CIDRs, separated by commas, of non-public addresses that webhooks may go to.",
    )
    webhook_timeout: float = Field(default=10.0, gt=0, le=60, description="Of one whole attempt.")
    webhook_max_age: float = Field(
        default=3 * 86400.0,
        gt=0,
        description="An event that was not delivered by then is given up.",
    )
    webhook_retry_delays: Annotated[tuple[float, ...], NoDecode] = Field(
        default=(5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0),
        min_length=1,
        description="Pauses after failed attempts, separated by commas; the last one repeats.",
    )
    webhook_log_days: float = Field(
        default=30.0, gt=0, description="Ended deliveries are kept in the log for so long."
    )

    # Webhooks of an MLflow model registry, received at /v1/integrations/mlflow.
    mlflow_webhook_secret: str | None = Field(
        default=None, min_length=1, description="The secret of the webhook in MLflow."
    )
    mlflow_webhook_tolerance: float = Field(
        default=300.0, gt=0, le=86400, description="A message of MLflow that is older is refused."
    )
    mlflow_models: dict[str, MlflowModel] = Field(
        default_factory=dict, description="Registered model of MLflow → what its versions become."
    )

    # Retention: monitors' policies say what may go, these say when.
    retention_interval: float = Field(
        default=86400.0,
        ge=0,
        description="The dispatcher collects what monitors' policies let go, this often; 0: never.",
    )
    retention_grace: float = Field(
        default=86400.0, ge=0, description="From the mark to the deletion."
    )
    retention_leftover_age: float = Field(
        default=86400.0,
        ge=3600,
        description="Files that nothing refers to are left alone until they are as old as this.",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Messages below this level are left out."
    )

    @field_validator("model_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: Any) -> Any:
        return tuple(part for part in value.split(":") if part) if isinstance(value, str) else value

    @field_validator("webhook_allowed_networks", "webhook_retry_delays", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("webhook_retry_delays")
    @classmethod
    def _positive_delays(cls, delays: tuple[float, ...]) -> tuple[float, ...]:
        for delay in delays:
            if not 0 < delay <= 7 * 86400:
                raise ValueError(f"{delay} is no pause; give seconds above 0, at most 7 days")
        return delays

    @field_validator("bootstrap_key", "metrics_key")
    @classmethod
    def _whole_key(cls, key: str | None) -> str | None:
        # The value stays out of the message, which is printed.
        if key is not None and not is_whole_key(key):
            raise ValueError(
                "is no whole key: `featuredrift keys generate` prints one that is kept nowhere"
            )
        return key

    @field_validator("session_secret")
    @classmethod
    def _long_secrets(cls, value: str | None) -> str | None:
        # The value stays out of the message, which is printed.
        if value is not None and any(len(part.strip()) < 32 for part in value.split(",")):
            raise ValueError("each secret must have at least 32 characters, chosen at random")
        return value

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError(f"{redact(url)!r} is no web address; give https://host[:port][/path]")
        return url.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _psycopg(cls, url: str) -> str:
        scheme, separator, rest = url.partition("://")
        if not separator or scheme.split("+")[0] not in {"postgresql", "postgres"}:
            raise ValueError(f"{redact(url)!r} is not a postgresql:// URL; Postgres is required")
        return f"postgresql+psycopg://{rest}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the secrets folder where there is one."""
        folder = Path(os.environ.get("FEATUREDRIFT_SECRETS_DIR") or SECRETS_DIR)
        files = (SecretsSettingsSource(settings_cls, folder),) if folder.is_dir() else ()
        return (init_settings, env_settings, *files)

    def model_post_init(self, _context: Any) -> None:
        """Check what spans several settings.

        Raises:
            ValueError: naming both settings and their values.
        """
        if not self.public_url:
            host = f"[{self.host}]" if ":" in self.host else self.host
            self.public_url = f"http://{host}:{self.port}"
            # A child that is given another port has another default.
            self.model_fields_set.discard("public_url")
        if not self.runbook_url:
            self.runbook_url = f"{self.public_url}/runbooks"
            self.model_fields_set.discard("runbook_url")
        if "secrets_dir" in self.model_fields_set and not self.secrets_dir.is_dir():
            raise ValueError(f"secrets_dir={self.secrets_dir} is no folder; mount it, or unset it")
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            raise ValueError(
                f"heartbeat_seconds={self.heartbeat_seconds} must be at most half of "
                f"lease_seconds={self.lease_seconds}, or a live worker loses its lease"
            )
        if not self.shard_soft_limit < self.shard_hard_limit < self.visibility_timeout:
            raise ValueError(
                f"shard_soft_limit={self.shard_soft_limit} < shard_hard_limit="
                f"{self.shard_hard_limit} < visibility_timeout={self.visibility_timeout} must hold"
            )

    @property
    def artifacts(self) -> str:
        """The artifact store's fsspec URL."""
        return self.artifact_url or (self.data_dir.resolve() / "artifacts").as_uri()

    @property
    def allowed_roots(self) -> tuple[Path, ...]:
        """Where local sources may lie: the configured roots, else `<data_dir>/models`."""
        return self.model_roots or (self.data_dir.resolve() / "models",)

    def printable(self) -> dict[str, Any]:
        """All settings as JSON values, passwords in URLs and secrets replaced by `***`."""
        values = self.model_dump(mode="json")
        return {
            key: "***"
            if key.endswith(("_secret", "_pepper", "_key")) and value
            else redact(value)
            if isinstance(value, str) and "://" in value
            else value
            for key, value in values.items()
        }


def redact(url: str) -> str:
    """A URL without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user = parts.username or ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:***@{host}"))


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
