"""From settings to the environment of a child, so that all processes agree on every one of them."""

import json
import os
from collections.abc import Mapping
from typing import Any

from app.settings import Settings

_WITHOUT_PREFIX = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}
_PREFIX = "FEATUREDRIFT_"
# No setting: what the demo sends, where the API needs keys.
_CLIENT_KEY = "FEATUREDRIFT_API_KEY"


def settings_from(overrides: Mapping[str, Any]) -> Settings:
    """Settings from the environment, with some of them given by name."""
    named = {_WITHOUT_PREFIX.get(name, name): value for name, value in overrides.items()}
    unknown = set(overrides) - set(Settings.model_fields)
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: no such setting")
    return Settings(**named)


def child_environment(settings: Settings) -> dict[str, str]:
    """Our environment, with every setting as it is in `settings`."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name == _CLIENT_KEY
        or (not name.startswith(_PREFIX) and name not in _WITHOUT_PREFIX.values())
    }
    for name, value in settings.model_dump(mode="json").items():
        if value is None or value == []:
            continue
        # Only a folder that somebody has named must exist, and only such URLs outlive the port.
        if (
            name in {"secrets_dir", "public_url", "runbook_url"}
            and name not in settings.model_fields_set
        ):
            continue
        separator = ":" if name == "model_roots" else ","
        text = separator.join(map(str, value)) if isinstance(value, list) else str(value)
        if isinstance(value, dict):
            text = json.dumps(value)
        environment[_WITHOUT_PREFIX.get(name, f"{_PREFIX}{name.upper()}")] = text
    environment["PYTHONUNBUFFERED"] = "1"
    return environment
