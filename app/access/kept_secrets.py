"""Secrets that are made once in the data folder: for a single machine, where nobody sets them."""

import secrets
from pathlib import Path


def read_secret(file: Path) -> bytes | None:
    """The secret in a file; None where there is none."""
    try:
        return file.read_bytes().strip() or None
    except OSError:
        return None


def make_secret(file: Path) -> bytes:
    """The secret in a file that only its owner reads, made where there is none.

    Raises:
        OSError: the file cannot be written.
    """
    found = read_secret(file)
    if found is not None:
        return found
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    fresh.touch(mode=0o600)
    fresh.write_text(f"{secrets.token_hex(32)}\n")
    try:
        # A link is made or refused as a whole: of two that make a secret at once, one wins.
        file.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return file.read_bytes().strip()
