"""Dictionaries of SAELens releases: where they lie, and where they read."""

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from app.imports.catalog import catalog
from app.imports.errors import refuse
from app.imports.names import name_of

_TIMEOUT = 600.0
_READABLE = (
    *("hook_resid_pre", "hook_resid_post", "hook_mlp_out", "hook_attn_out"),
    *("attn.hook_z", "mlp.hook_post"),
)


@dataclass(frozen=True)
class Release:
    """A dictionary of a release.

    Attributes:
        repository, folder: where it lies on the hub; None where SAELens is not here to say.
        site: where it reads.
        neuronpedia: its id there, `model/source`.
        architecture, d_sae: as its configuration says, where that was read.
    """

    release: str
    sae_id: str
    repository: str | None
    folder: str | None
    site: str
    neuronpedia: str | None
    architecture: str | None = None
    d_sae: int | None = None

    @property
    def name(self) -> str:
        """A name for the dictionary."""
        return name_of(f"{self.release}-{self.sae_id}")


def find_release(release: str, sae_id: str, site: str | None = None) -> Release:
    """Find a dictionary, and ask the hub for its configuration unless its site is given.

    Raises:
        ImportRefusedError: SAELens or the hub does not know it, or it reads where nothing can.
    """
    listed = catalog().find(release, sae_id)
    place = f"{release} {sae_id}"
    if site is not None:
        _check_site(place, site)
        return Release(
            release,
            sae_id,
            listed.repository if listed else release if "/" in release else None,
            listed.folder if listed else sae_id,
            site,
            listed.neuronpedia if listed else None,
        )
    if find_spec("sae_lens") is None:
        refuse(
            place,
            "SAELens is not installed here, so that nothing can read where the dictionary reads; "
            "give --site, or pip install 'featuredrift[worker]'",
        )
    found = _described(place, release, sae_id)
    if found["head"] is not None:
        refuse(
            place, f"reads head {found['head']} alone; dictionaries of single heads are not read"
        )
    if found["site"] is None:
        refuse(place, "its configuration names no site; give --site, such as blocks.3.hook_mlp_out")
    _check_site(place, found["site"])
    return Release(
        release,
        sae_id,
        found["repository"],
        found["folder"],
        found["site"],
        listed.neuronpedia if listed else None,
        found["architecture"],
        found["d_sae"],
    )


def _described(place: str, release: str, sae_id: str) -> dict[str, Any]:
    """What SAELens says, from a process of its own: it needs torch, which nothing here does."""
    try:
        done = subprocess.run(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", "workers.imports.release", release, sae_id],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        refuse(
            place, f"the hub has not answered within {_TIMEOUT:.0f} s; give --site, or try later"
        )
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        refuse(place, f"SAELens ended with {done.returncode}: {said}")
    if not isinstance(found, dict) or "error" in found:
        refuse(place, str(found["error"]) if isinstance(found, dict) else "SAELens said nothing")
    return found


def _check_site(place: str, site: object) -> None:
    """A hook inside a block must be one that activations are captured at."""
    if isinstance(site, str) and site.startswith("blocks.") and not site.endswith(_READABLE):
        refuse(
            place,
            f"reads {site}, which is not captured; sites of a block are {', '.join(_READABLE)}",
        )
