"""Folders that appear whole or not at all."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def fill_folder(folder: Path, fill: Callable[[Path], object]) -> Path:
    """Fill a temporary folder beside the target, then rename it to the target.

    Where another worker was faster, its folder stays: the name is a digest of the content, so that
    one copy is as good as the other.

    Args:
        folder: the target; its name says what it holds.
        fill: is given the temporary folder.

    Raises:
        OSError: the disk is full or unwritable; nothing is left behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        fill(partial)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
