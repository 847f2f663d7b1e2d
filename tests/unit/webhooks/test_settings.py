"""Settings of webhooks: read from the environment, refused when wrong, the same in a child."""

from ipaddress import ip_network

import pytest
from pydantic import ValidationError

from app.embedded.environment import child_environment
from app.settings import Settings

NETWORKS = "FEATUREDRIFT_WEBHOOK_ALLOWED_NETWORKS"
DELAYS = "FEATUREDRIFT_WEBHOOK_RETRY_DELAYS"
PUBLIC = "FEATUREDRIFT_PUBLIC_URL"


def test_nothing_but_public_addresses_is_allowed_by_default() -> None:
    assert Settings().webhook_allowed_networks == ()
    assert Settings().webhook_max_age == 3 * 86_400


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NETWORKS, "10.0.0.0/8, fd00::/8")
    monkeypatch.setenv(DELAYS, "1,2.5")
    settings = Settings()
    assert settings.webhook_allowed_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert settings.webhook_retry_delays == (1.0, 2.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (NETWORKS, "10.0.0.1/8"),
        (NETWORKS, "localhost"),
        (DELAYS, "0"),
        (DELAYS, "1e9"),
        (DELAYS, ","),
        (PUBLIC, "drift.example.com"),
        (PUBLIC, "ftp://drift.example.com"),
        ("FEATUREDRIFT_WEBHOOK_TIMEOUT", "0"),
    ],
)
def test_what_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_links_start_with_the_public_url_or_else_with_where_the_api_listens() -> None:
    assert Settings(port=7).public_url == "http://127.0.0.1:7"
    assert Settings(host="::1", port=7).public_url == "http://[::1]:7"
    assert Settings(public_url="https://drift.example.com/x/").public_url == (
        "https://drift.example.com/x"
    )


def test_a_child_has_the_same_settings_but_the_default_url_of_its_own_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(
        port=0,
        webhook_allowed_networks=("127.0.0.1/32", "::1/128"),
        webhook_retry_delays=(1.0, 2.0),
    ).model_copy(update={"port": 7})
    for name, value in child_environment(settings).items():
        monkeypatch.setenv(name, value)
    child = Settings()
    assert child.webhook_allowed_networks == settings.webhook_allowed_networks
    assert child.webhook_retry_delays == settings.webhook_retry_delays
    assert child.public_url == "http://127.0.0.1:7"
    named = child_environment(Settings(public_url="https://drift.example.com"))
    assert named[PUBLIC] == "https://drift.example.com"
