"""What endpoints depend on for idempotency."""

from typing import Annotated

from fastapi import Depends, Header, Request

from app.access.service import Posting
from app.core.dependencies import AppDatabase
from app.core.digests import sha256_chunks

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of your own. The same key with the same body is answered as it was "
        "the first time, and has no second effect; kept for seven days.",
    ),
]


async def raw_body(request: Request) -> bytes:
    """The bytes of the body, read while the size limit counts them."""
    return await request.body()


RawBody = Annotated[bytes, Depends(raw_body)]


async def _posting(
    request: Request,
    body: RawBody,
    database: AppDatabase,
    idempotency_key: IdempotencyKeyHeader = None,
) -> Posting:
    route = f"{request.method} {request.url.path}"
    if request.url.query:
        route += f"?{request.url.query}"
    digest = ""
    if idempotency_key is not None:
        content_type = request.headers.get("content-type", "").encode()
        digest = sha256_chunks((content_type, b"\0", body))
    principal = getattr(request.state, "principal", None)
    owner = str(getattr(principal, "key_id", None) or "")
    return Posting(database, idempotency_key, route, digest, owner)


Post = Annotated[Posting, Depends(_posting)]
