"""A stand-in of the Hugging Face hub: the part of its HTTP protocol that downloads use.

As the hub does, it answers `/{owner}/{name}/resolve/{revision}/{path}` with the commit and an ETag,
leads large files to another address, and names what is missing in `X-Error-Code`.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Repositories as folders, `root/owner/name/…`, and what was asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        self.gated: set[str] = set()
        self.url = ""

    def locate(self, path: str) -> tuple[Path | None, str, int]:
        """The file, else the hub's error code and status."""
        parts = path.strip("/").split("/")
        if len(parts) < 5 or parts[2] != "resolve":
            return None, "RepoNotFound", 404
        repository = "/".join(parts[:2])
        if repository in self.gated:
            return None, "GatedRepo", 403
        if not (self.root / repository).is_dir():
            return None, "RepoNotFound", 401
        if parts[3] not in ("main", COMMIT):
            return None, "RevisionNotFound", 404
        file = self.root / repository / Path(*parts[4:])
        return (file, "", 200) if file.is_file() else (None, "EntryNotFound", 404)


@contextmanager
def serving_hub(root: Path) -> Iterator[Hub]:
    """A hub on a port of its own."""
    hub = Hub(root)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _answer(self, *, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(f"{self.command} {path}")
            stored = path.startswith("/stored/")
            file, code, status = hub.locate(path.removeprefix("/stored"))
            if file is None:
                self.send_response(status)
                self.send_header("X-Error-Code", code)
                self.send_header("X-Error-Message", f"{code} for {path}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = file.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            large = file.suffix == ".safetensors" and not stored
            self.send_response(302 if large else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{digest}"')
            if large:
                self.send_header("X-Linked-Etag", f'"{digest}"')
                self.send_header("X-Linked-Size", str(len(data)))
                self.send_header("Location", f"{hub.url}/stored{path}")
            body = b"" if large else data
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join(30)
        server.server_close()
