"""Redis: does it answer, does it keep what it is told, may it throw messages away."""

from collections.abc import Iterator
from typing import Any

import redis

from app.cli.doctor.finding import Finding, first_line
from app.core.reachable import redis_client
from app.settings import Settings, redact

OLDEST_REDIS = 6


def check_broker(settings: Settings) -> Iterator[Finding]:
    """Reachable, writable, persistence, memory policy."""
    place = redact(settings.redis_url)
    try:
        with redis_client(settings) as client:
            info: dict[str, Any] = client.info()
            yield _answers(client, info, place)
            yield _persistence(info)
            yield _memory(info)
    except (redis.exceptions.RedisError, ValueError, OSError) as error:
        yield Finding(
            "broker",
            "fail",
            f"{place}: {first_line(error)}",
            "start it, or set REDIS_URL to one that runs and takes these credentials",
        )


def _answers(client: redis.Redis, info: dict[str, Any], place: str) -> Finding:
    version = str(info.get("redis_version", "?"))
    seen = f"{place}: Redis {version}"
    if info.get("role") not in (None, "master"):
        advice = "name the primary in REDIS_URL: a replica takes no messages"
        return Finding("broker", "fail", f"{seen}, a {info['role']}", advice)
    major = version.partition(".")[0]
    if major.isdecimal() and int(major) < OLDEST_REDIS:
        return Finding("broker", "fail", seen, f"use Redis {OLDEST_REDIS} or newer")
    key = "featuredrift:doctor"
    client.set(key, "1", ex=60)
    client.delete(key)
    return Finding("broker", "ok", f"{seen}, takes writes")


def _persistence(info: dict[str, Any]) -> Finding:
    name = "broker persistence"
    if not info.get("aof_enabled"):
        return Finding(
            name,
            "warn",
            "appendonly is off: a restart forgets what was queued, and the dispatcher has to "
            "announce it again",
            "set `appendonly yes` in redis.conf",
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        advice = "look at Redis' disk and its log: it refuses writes until it can append"
        return Finding(name, "fail", "the append-only file cannot be written", advice)
    return Finding(name, "ok", "appendonly is on")


def _memory(info: dict[str, Any]) -> Finding:
    name = "broker memory"
    policy, limit = str(info.get("maxmemory_policy", "?")), int(info.get("maxmemory", 0))
    used = int(info.get("used_memory", 0))
    seen = f"maxmemory-policy {policy}, {used >> 20} MiB used of {_limit(limit)}"
    if policy != "noeviction":
        return Finding(
            name,
            "fail" if limit else "warn",
            seen,
            "set `maxmemory-policy noeviction`: any other throws messages away when memory is full",
        )
    if limit and used > 0.9 * limit:
        return Finding(name, "warn", seen, "raise maxmemory: when it is full, nothing is queued")
    return Finding(name, "ok", seen)


def _limit(limit: int) -> str:
    return f"{limit >> 20} MiB" if limit else "no limit"
