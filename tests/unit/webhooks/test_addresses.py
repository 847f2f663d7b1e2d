"""Only public addresses, and those that the settings allow."""

import socket
import threading
from ipaddress import ip_address, ip_network

import pytest

from app.webhooks.addresses import (
    TargetRefusedError,
    TargetUnresolvedError,
    check_addresses,
    refusal,
    resolve,
)

PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"]
REFUSED = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "fec0::1"),
    *("ff02::1", "ff0e::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::", "2001::1"),
    *("2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_reached(address: str) -> None:
    assert refusal(ip_address(address), ()) is None


@pytest.mark.parametrize("address", REFUSED)
def test_every_other_address_is_refused_with_its_kind(address: str) -> None:
    assert refusal(ip_address(address), ())


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("10.1.0.0/16", "10.1.2.3"),
        ("127.0.0.1/32", "127.0.0.1"),
        ("127.0.0.1/32", "::ffff:127.0.0.1"),
        ("fd00::/8", "fd12::1"),
        ("64:ff9b::/96", "64:ff9b::808:808"),
    ],
)
def test_an_allowed_network_may_be_reached(network: str, address: str) -> None:
    assert refusal(ip_address(address), (ip_network(network),)) is None


def test_an_allowed_network_allows_no_neighbour_and_no_disguise() -> None:
    allowed = (ip_network("10.1.0.0/16"), ip_network("::/1"))
    assert refusal(ip_address("10.2.0.1"), allowed)
    assert refusal(ip_address("127.0.0.1"), allowed)
    # The mapped form of an IPv4 address is judged as what it is.
    assert refusal(ip_address("::ffff:127.0.0.1"), allowed)


def test_one_refused_address_among_public_ones_refuses_the_host() -> None:
    found = [ip_address("8.8.8.8"), ip_address("169.254.169.254")]
    with pytest.raises(TargetRefusedError, match=r"169\.254\.169\.254 \(link-local\)"):
        check_addresses("mixed.test", found, ())
    assert check_addresses("public.test", found[:1], ()) == found[:1]


def test_a_mapped_address_is_connected_to_as_what_it_is() -> None:
    mapped = ip_address("::ffff:8.8.8.8")
    assert check_addresses("mapped.test", [mapped], ()) == [ip_address("8.8.8.8")]


def test_a_host_without_an_address_is_unresolved() -> None:
    with pytest.raises(TargetUnresolvedError, match="no address"):
        check_addresses("empty.test", [], ())
    with pytest.raises(TargetUnresolvedError, match=r"'no such\.name'"):
        resolve("no such.name", 80, 10)


def test_a_name_server_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_how: silent.wait(30) and [])
    with pytest.raises(TargetUnresolvedError, match=r"not resolved within 0\.1 s"):
        resolve("slow.test", 80, 0.1)
    silent.set()


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_numbers_that_the_system_reads_as_loopback_are_seen_as_loopback(spelling: str) -> None:
    with pytest.raises(TargetRefusedError, match="loopback"):
        check_addresses(spelling, resolve(spelling, 80, 10), ())
