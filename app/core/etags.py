"""Entity tags (RFC 9110), as the API gives them and the client sends them back."""


def etag(version: int) -> str:
    """The strong entity tag of a version."""
    return f'"{version}"'
