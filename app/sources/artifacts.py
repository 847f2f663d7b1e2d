"""Sources inside the deployment's own artifact store: `artifact:<key prefix>`.

Only the service makes them; a caller cannot register one.
"""

_PREFIX = "artifact:"


def artifact_source(key: str) -> str:
    """The source that names a folder of the artifact store."""
    return _PREFIX + key


def artifact_key(source: str) -> str | None:
    """The key prefix that a source names; None for every other kind of source."""
    return source.removeprefix(_PREFIX) if source.startswith(_PREFIX) else None
