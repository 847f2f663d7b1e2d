"""Where a vector reads: a site by name, or a layer of the residual stream."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.imports.errors import refuse
from app.registry.definitions import SITE_PATTERN


def site_of(path: Path, stated: Mapping[str, Any], asked: str | None, whose: str) -> str:
    """The site of a vector.

    Args:
        stated: what the file says: `site`, or `layer`, which stands for the residual stream after
            that block, counted from 0.
        asked: what the caller says.
        whose: what is being placed, for the error.

    Raises:
        ImportRefusedError: nobody says it, or both do and contradict each other.
    """
    site = stated.get("site")
    layer = stated.get("layer")
    if layer is not None:
        if not str(layer).isdecimal():
            refuse(path, f"{whose}: layer is {layer!r}; it must be a number from 0 on")
        by_layer = f"blocks.{int(layer)}.hook_resid_post"
        if site is not None and site != by_layer:
            refuse(path, f"{whose}: the file says site {site!r} and layer {layer}; keep one")
        site = by_layer
    if site is not None and asked is not None and site != asked:
        refuse(path, f"{whose}: the file says {site!r}, but {asked!r} was asked for; keep one")
    site = site or asked
    if site is None:
        refuse(
            path,
            f"{whose}: nothing says where it reads; give --site, such as blocks.3.hook_resid_post, "
            'or save it with metadata={"site": …}',
        )
    if not isinstance(site, str) or not SITE_PATTERN.fullmatch(site):
        refuse(
            path,
            f"{whose}: {site!r} is no site; give a TransformerLens hook name such as "
            "blocks.3.hook_resid_post",
        )
    return site
