"""URLs are read once, by the parser that also sends."""

import pytest

from app.webhooks.targets import Target, parse_target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://a.test", Target("https", "a.test", 443, "a.test", b"/")),
        ("http://A.test:8080/x?y=1", Target("http", "a.test", 8080, "a.test:8080", b"/x?y=1")),
        ("http://[::1]/x@y", Target("http", "::1", 80, "[::1]", b"/x@y")),
        (
            "https://exämple.test/ü",
            Target("https", "xn--exmple-cua.test", 443, "xn--exmple-cua.test", b"/%C3%BC"),
        ),
    ],
)
def test_a_url_is_read_as_the_connection_sees_it(url: str, target: Target) -> None:
    assert parse_target(url) == target


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "scheme"),
        ("ftp://a.test/", "scheme 'ftp'"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("gopher://a.test/", "scheme"),
        ("//a.test/", "scheme"),
        ("http:///x", "no host"),
        ("http://user@a.test/", "user name"),
        ("http://user:word@a.test/", "user name"),
        ("http://@a.test/", "user name"),
        ("http://a.test\\@b.test/", "backslash"),
        ("http://a.test/ x", "space"),
        ("http://a.test/\r\nHost: b", "space"),
        ("http://a.test/\x00", "no URL"),
        ("http://a.test/#top", "fragment"),
        ("http://a.test:0/", "port 0"),
        ("http://a.test:65536/", "port 65536"),
        ("http://[::1/", "no URL"),
        ("https://a[b].test/", "neither a name nor an address"),
        ("http://a%2fb.test/", "neither a name nor an address"),
        ("http://[::1%25eth0]/", "neither a name nor an address"),
        ("http://a.test/" + "x" * 2000, "2014 characters"),
    ],
)
def test_any_other_url_is_refused_with_a_reason(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_target(url)
