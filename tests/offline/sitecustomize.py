"""No network but this machine: every attempt to connect, send or resolve a name raises `NetworkRefused`.

Python loads a module of this name by itself when it starts, so that a folder on ``PYTHONPATH`` reaches the children
of the tests too; the tests' own process imports it. An audit hook sees what any module does through any socket, and
cannot be taken off again.
"""

import ipaddress
import sys

WATCHED = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}


class NetworkRefused(ConnectionRefusedError):
    """A test, or what it tests, wanted the network."""


def refuse_network(event: str, arguments: tuple) -> None:
    """Audit hook: let through what stays on this machine."""
    if event not in WATCHED:
        return
    place = arguments[0] if event.startswith("socket.get") else arguments[1]
    host = place[0] if isinstance(place, tuple) else place
    if not (isinstance(place, tuple) or event.startswith("socket.get")) or is_local(host):
        return  # a socket file, or this machine
    raise NetworkRefused(f"tests have no network: {event.partition('.')[2]} {host!r}")


def is_local(host: object) -> bool:
    """Whether a host is this machine: a loopback address, ``localhost``, or none at all."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


sys.addaudithook(refuse_network)
