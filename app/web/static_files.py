"""Style and scripts of the pages, under addresses that change with their content."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from app.charts.palette import stylesheet
from app.core.errors import NotFoundError
from app.web.headers import COMMON

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class StaticFile:
    """A file as it goes out.

    Attributes:
        digest: of its content; stands in its address.
    """

    content: bytes
    media_type: str
    digest: str


@lru_cache(maxsize=1)
def static_files() -> dict[str, StaticFile]:
    """Name → file: all there are, read once."""
    found = {}
    for entry in (*(files("app.web") / "static").iterdir(), *_swagger_ui()):
        media_type = _TYPES.get(entry.name.rpartition(".")[2])
        if media_type is None:
            continue
        content = entry.read_bytes()
        if entry.name == "style.css":
            content += stylesheet().encode()
        digest = hashlib.sha256(content).hexdigest()
        found[entry.name] = StaticFile(content, media_type, digest[:16])
    return found


def _swagger_ui() -> list[FilePath]:
    """Its files, of a package that is looked for and not imported: it would make applications."""
    found = find_spec("fastapi_offline")
    if found is None or not found.submodule_search_locations:
        return []
    folder = FilePath(found.submodule_search_locations[0]) / "static"
    return sorted(folder.glob("swagger-ui*"))


def static_path(name: str) -> str:
    """The address of a file.

    Raises:
        KeyError: there is none of that name.
    """
    return f"/static/{name}?v={static_files()[name].digest}"


@router.get("/static/{name}")
async def get_static_file(
    request: Request, name: Annotated[str, Path(max_length=100)], v: str = ""
) -> Response:
    """A style sheet, script or picture of the pages."""
    file = static_files().get(name)
    if file is None:
        raise NotFoundError(f"there is no file {name!r}", code="unknown_file", value=name)
    tag = f'"{file.digest}"'
    headers = {
        **COMMON,
        "Cache-Control": _FOREVER if v == file.digest else "no-cache",
        "ETag": tag,
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
