"""The secret that API keys are digested with: never in the database, so never in its backups."""

from pathlib import Path

from app.access.kept_secrets import make_secret, read_secret
from app.settings import Settings

PEPPER_FILE = "key_pepper"


def read_pepper(settings: Settings) -> bytes | None:
    """The secret that keys are digested with: the setting, else the file in the data folder.

    None where there is neither: no key can be made or checked then.
    """
    if settings.key_pepper:
        return settings.key_pepper.encode()
    return read_secret(_pepper_file(settings))


def make_pepper(settings: Settings) -> bytes:
    """The secret, made in the data folder where there is none: for a single machine.

    Raises:
        OSError: the file cannot be written.
    """
    return read_pepper(settings) or make_secret(_pepper_file(settings))


def _pepper_file(settings: Settings) -> Path:
    return settings.data_dir.resolve() / PEPPER_FILE
