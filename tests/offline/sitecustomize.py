"""Block the network: connecting to, sending to or resolving any host but this machine raises `NetworkRefused`.

Python imports a module with this name at startup, so the child processes of the tests load it from ``PYTHONPATH``; the
test process imports it explicitly. It installs an audit hook, which sees the socket calls of all modules and cannot be
removed.
"""

import ipaddress
import sys

WATCHED = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}


class NetworkRefused(ConnectionRefusedError):
    """Raised when a test, or the code that it tests, uses the network."""


def refuse_network(event: str, arguments: tuple) -> None:
    """Audit hook that raises for events that would reach another machine."""
    if event not in WATCHED:
        return
    place = arguments[0] if event.startswith("socket.get") else arguments[1]
    host = place[0] if isinstance(place, tuple) else place
    if not (isinstance(place, tuple) or event.startswith("socket.get")) or is_local(host):
        return  # a Unix socket, or this machine
    raise NetworkRefused(f"tests have no network: {event.partition('.')[2]} {host!r}")


def is_local(host: object) -> bool:
    """Return whether a host is this machine: a loopback address, ``localhost`` or an empty name."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


sys.addaudithook(refuse_network)
