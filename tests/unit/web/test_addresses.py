"""A sign-in leads back into the service, and nowhere else."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from app.settings import Settings
from app.web.addresses import is_own_origin, own_path, sign_in_path

HERE = "https://drift.example"


def request(path: str = "/", query: str = "", method: str = "GET", host: str = "h:1") -> Request:
    class _App:
        class state:  # noqa: N801 - as Starlette names it
            settings = Settings(public_url=HERE)

    return Request(
        {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"host", host.encode())],
            "scheme": "http",
            "server": ("127.0.0.1", 1),
            "app": _App,
        }
    )


@pytest.mark.parametrize(
    "path", ["/", "/models", "/models/a?x=1&y=%2F%2F", "/evaluations/1#top", "/a//b", "/a:b"]
)
def test_own_paths_stay(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "target",
    [
        *(None, "", "models", "//evil", "///evil", "/\\evil", "\\/evil", "https://evil"),
        *("javascript:x", "/a\nb", "/\t/evil", " /a", "/a b", "/\x00", "/sign-in?next=/a"),
        *("/sign-out", "/" + "a" * 3000, "//[evil", "/\x7f"),
    ],
)
def test_everything_else_leads_home(target: str | None) -> None:
    assert own_path(target) == "/"


@given(st.text(alphabet="/\\:.a@%?#& \t\n[]", max_size=12))
def test_no_target_leads_to_another_host(target: str) -> None:
    """As browsers read it: backslashes are slashes, and controls are nothing."""
    found = own_path(target)
    read = found.replace("\\", "/").replace("\t", "").replace("\n", "")

    assert urlsplit(urljoin(f"{HERE}/sign-in", read)).netloc == "drift.example"


def test_whoever_is_led_to_the_sign_in_comes_back_to_what_they_asked_for() -> None:
    assert sign_in_path(request("/models", "cursor=a&b=c")) == (
        "/sign-in?next=/models%3Fcursor%3Da%26b%3Dc"
    )
    assert sign_in_path(request("/")) == "/sign-in"
    # What was to be sent is not sent twice.
    assert sign_in_path(request("/alerts/1", method="POST")) == "/sign-in"
    assert sign_in_path(request("//evil")) == "/sign-in"


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("http://h:1", True),
        # A proxy in front ends TLS.
        ("https://h:1", True),
        (HERE, True),
        ("http://drift.example", False),
        ("https://drift.example.evil", False),
        ("http://h:2", False),
        ("null", False),
        ("", False),
        ("file://", False),
        ("https://[", False),
    ],
)
def test_whose_an_origin_is(origin: str, own: bool) -> None:
    assert is_own_origin(request(), origin) is own
