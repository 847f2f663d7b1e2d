"""The secret that API keys are digested with: never in the database, so never in its backups."""

import secrets
from pathlib import Path

from app.settings import Settings

PEPPER_FILE = "key_pepper"


def read_pepper(settings: Settings) -> bytes | None:
    """The secret that keys are digested with: the setting, else the file in the data folder.

    None where there is neither: no key can be made or checked then.
    """
    if settings.key_pepper:
        return settings.key_pepper.encode()
    file = _pepper_file(settings)
    try:
        return file.read_bytes().strip() or None
    except OSError:
        return None


def make_pepper(settings: Settings) -> bytes:
    """The secret, made in the data folder where there is none: for a single machine.

    Raises:
        OSError: the file cannot be written.
    """
    found = read_pepper(settings)
    if found is not None:
        return found
    file = _pepper_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    fresh.touch(mode=0o600)
    fresh.write_text(f"{secrets.token_hex(32)}\n")
    try:
        # A link is made or refused as a whole: of two that make a pepper at once, one wins.
        file.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return file.read_bytes().strip()


def _pepper_file(settings: Settings) -> Path:
    return settings.data_dir.resolve() / PEPPER_FILE
