"""Failed attempts to authenticate are limited, by address, in bounded memory."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

ALLOWED = 10
WINDOW = 60.0
MAX_ADDRESSES = 10_000
MAX_KNOWN = 10_000


class FailedAttempts:
    """Counts failures of each address in a window that starts with the first of them.

    A key that has worked within the last hour goes on working from an address that is shut out:
    behind one proxy, somebody's wrong key must not stop everybody else's right one. IPv6 addresses
    count by their /64, which is what one customer gets.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()

    def retry_after(self, address: str, digest: str | None) -> int:
        """Seconds that an address must wait with this key; 0 where it need not."""
        moment = self._clock()
        with self._lock:
            began, count = self._failures.get(_place(address), (moment, 0))
            left = began + WINDOW - moment
            if count < ALLOWED or left <= 0:
                return 0
            if digest is not None and self._known.get(digest, -math.inf) > moment - 3600:
                return 0
        return max(1, math.ceil(left))

    def failed(self, address: str) -> None:
        """Note a failure; of too many addresses, the one that failed longest ago is forgotten."""
        place, moment = _place(address), self._clock()
        with self._lock:
            began, count = self._failures.pop(place, (moment, 0))
            if moment - began >= WINDOW:
                began, count = moment, 0
            self._failures[place] = (began, count + 1)
            while len(self._failures) > MAX_ADDRESSES:
                self._failures.popitem(last=False)

    def worked(self, digest: str) -> None:
        """Note that a key works."""
        with self._lock:
            self._known[digest] = self._clock()
            self._known.move_to_end(digest)
            while len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)

    def forget(self, digest: str) -> None:
        """Note that a key works no longer."""
        with self._lock:
            self._known.pop(digest, None)

    def __len__(self) -> int:
        return len(self._failures)


def _place(address: str) -> str:
    # Some proxies write the port behind it; what is no address at all counts as one.
    for form in (address, address.rpartition(":")[0].strip("[]")):
        try:
            return _network(ipaddress.ip_address(form))
        except ValueError:
            continue
    return "unreadable"


def _network(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
