"""Which addresses a webhook may reach: public ones, and those that the settings allow."""

import queue
import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int, float], Sequence[Address]]

_GLOBAL_UNICAST = ip_network("2000::/3")
_REFUSED: dict[Network, str] = {
    # Registries of special-purpose addresses call these global or leave them out, yet they lead
    # into the machine's own network, or to an IPv4 address that hides in an IPv6 one.
    ip_network("168.63.129.16/32"): "the metadata service of a cloud",
    ip_network("192.0.0.0/24"): "a protocol assignment",
    ip_network("192.88.99.0/24"): "a 6to4 relay",
    ip_network("2001::/23"): "a protocol assignment (Teredo, ORCHID, …)",
    ip_network("2001:db8::/32"): "for documentation",
    ip_network("2002::/16"): "6to4",
    ip_network("3fff::/20"): "for documentation",
    ip_network("64:ff9b::/96"): "NAT64",
    ip_network("64:ff9b:1::/48"): "NAT64",
}
_KINDS: tuple[tuple[str, str], ...] = (
    ("is_unspecified", "the unspecified address"),
    ("is_loopback", "loopback"),
    ("is_link_local", "link-local"),
    ("is_multicast", "multicast"),
    ("is_private", "private"),
    ("is_reserved", "reserved"),
)


class TargetRefusedError(Exception):
    """The target is no address that webhooks may go to."""


class TargetUnresolvedError(Exception):
    """The target's host name has no address, at this moment."""


def resolve(host: str, port: int, timeout: float) -> Sequence[Address]:
    """All addresses of a host, each once, in the resolver's order.

    Args:
        timeout: seconds; the system's resolver has no limit of its own that could be set here.

    Raises:
        TargetUnresolvedError: there are none, or not in time.
    """
    answers: queue.SimpleQueue[list[Address] | OSError | UnicodeError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            answers.put(error)
        else:
            answers.put([ip_address(info[4][0]) for info in found])

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=max(timeout, 0))
    except queue.Empty:
        raise TargetUnresolvedError(
            f"the host name {host!r} was not resolved within {timeout:.1f} s"
        ) from None
    if isinstance(answer, Exception):
        raise TargetUnresolvedError(f"the host name {host!r} is not resolved: {answer}") from answer
    return list(dict.fromkeys(answer))


def check_addresses(
    host: str, addresses: Sequence[Address], allowed: Sequence[Network]
) -> list[Address]:
    """The addresses to connect to: all of a host's, if each of them may be reached.

    One refused address refuses the host: otherwise its owner could wait for the day when the
    others do not answer.

    Raises:
        TargetRefusedError: with the address, its kind, and the setting that would allow it.
        TargetUnresolvedError: there is no address.
    """
    if not addresses:
        raise TargetUnresolvedError(f"the host name {host!r} has no address")
    checked = [_unmapped(address) for address in addresses]
    for address in checked:
        kind = refusal(address, allowed)
        if kind is not None:
            raise TargetRefusedError(
                f"the host {host!r} has the address {address} ({kind}), where webhooks may not "
                "go; give a public address, or let an operator add its network to "
                "FEATUREDRIFT_WEBHOOK_ALLOWED_NETWORKS"
            )
    return checked


def refusal(address: Address, allowed: Sequence[Network]) -> str | None:
    """Of which kind a refused address is; None when webhooks may go there."""
    address = _unmapped(address)
    if any(address.version == network.version and address in network for network in allowed):
        return None
    for network, kind in _REFUSED.items():
        if address.version == network.version and address in network:
            return kind
    for attribute, kind in _KINDS:
        if getattr(address, attribute):
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "not global unicast"
    return None if address.is_global else "not globally reachable"


def _unmapped(address: Address) -> Address:
    """The IPv4 address that the kernel connects to for `::ffff:a.b.c.d`."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
