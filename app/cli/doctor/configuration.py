"""Settings that contradict each other, or that nobody reads."""

import difflib
import ipaddress
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from app.access.keys_pepper import read_pepper
from app.cli.doctor.finding import Finding
from app.core.telemetry import wanted
from app.settings import Settings

_PREFIX = "FEATUREDRIFT_"
# Read by others than the settings.
_OTHERS = {
    *("FEATUREDRIFT_URL", "FEATUREDRIFT_API_KEY"),
    *("FEATUREDRIFT_SECRETS_DIR", "FEATUREDRIFT_FAULTS"),
}


def check_settings(
    settings: Settings, environment: Mapping[str, str] = os.environ
) -> Iterator[Finding]:
    """Contradictions, unknown variables, the public URL."""
    faults = [
        *_contradictions(settings),
        *_unknown(environment),
        *_environment(settings, environment),
    ]
    yield from faults
    if not faults:
        set_here = len(settings.model_fields_set)
        yield Finding("settings", "ok", f"no contradictions; {set_here} are set, others default")
    yield _public_url(settings)


def _contradictions(settings: Settings) -> Iterator[Finding]:
    open_bind = not _loopback(settings.host) and not settings.allow_unauthenticated_bind
    if (open_bind or settings.require_keys) and read_pepper(settings) is None:
        yield Finding(
            "settings",
            "fail",
            f"HOST={settings.host} needs API keys, and KEY_PEPPER is not set: `featuredrift api` "
            "refuses",
            "set KEY_PEPPER and make a key, or ALLOW_UNAUTHENTICATED_BIND=true in a container",
        )
    if settings.device == "cpu" and settings.dtype == "float16":
        yield Finding(
            "settings", "warn", "DEVICE=cpu with DTYPE=float16", "use float32 or bfloat16 on a CPU"
        )
    if settings.batch_tokens < settings.sequence_length:
        yield Finding(
            "settings",
            "warn",
            f"BATCH_TOKENS={settings.batch_tokens} is less than one sequence "
            f"(SEQUENCE_LENGTH={settings.sequence_length})",
            "raise BATCH_TOKENS to several sequences",
        )
    if settings.tokens_per_shard < settings.batch_tokens:
        yield Finding(
            "settings",
            "warn",
            f"TOKENS_PER_SHARD={settings.tokens_per_shard} is less than one batch "
            f"(BATCH_TOKENS={settings.batch_tokens})",
            "raise TOKENS_PER_SHARD: a shard should take minutes",
        )
    if settings.republish_after <= settings.dispatch_interval:
        yield Finding(
            "settings",
            "warn",
            f"REPUBLISH_AFTER={settings.republish_after:g} is no longer than "
            f"DISPATCH_INTERVAL={settings.dispatch_interval:g}",
            "raise REPUBLISH_AFTER: shards are announced again before anybody can claim them",
        )
    if (
        settings.port
        and settings.port == settings.exporter_port
        and settings.host == settings.exporter_host
    ):
        yield Finding(
            "settings",
            "fail",
            f"PORT and EXPORTER_PORT are both {settings.port}",
            "give the exporter another port",
        )


def _unknown(environment: Mapping[str, str]) -> Iterator[Finding]:
    known = {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields} | _OTHERS
    for name in sorted(environment):
        if name.startswith(_PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = (
                f"did you mean {near[0]}?"
                if near
                else "unset it; `featuredrift settings` lists all"
            )
            yield Finding("settings", "warn", f"{name} is no setting, and nobody reads it", advice)


def _environment(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    if settings.allow_hub and environment.get("HF_HUB_OFFLINE", "").lower() in {
        "1",
        "true",
        "yes",
        "on",
    }:
        yield Finding(
            "settings",
            "warn",
            "ALLOW_HUB=true, but HF_HUB_OFFLINE keeps the hub away",
            "unset one of the two",
        )
    if wanted() and find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        yield Finding(
            "settings",
            "warn",
            "OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, but OpenTelemetry is not installed",
            "install featuredrift[otel], or unset it",
        )
    protocol = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    if wanted() and protocol != "http/protobuf":
        yield Finding(
            "settings",
            "warn",
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}, but traces go out by http/protobuf only",
            "name an http/protobuf endpoint (usually port 4318), and unset the protocol",
        )


def _public_url(settings: Settings) -> Finding:
    url = settings.public_url
    if "public_url" not in settings.model_fields_set:
        seen = f"it is not set: links in alerts and webhooks begin with {url}"
        return Finding("public url", "warn", seen, "set PUBLIC_URL to where people reach the API")
    if _loopback(urlsplit(url).hostname or "") and not _loopback(settings.host):
        return Finding(
            "public url",
            "warn",
            f"{url} is this machine only, but the API listens on {settings.host}",
            "set PUBLIC_URL to where people reach the API",
        )
    return Finding("public url", "ok", url)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
