"""Tests and their child processes have no network; a control shows that the check can fail."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from support.commands import Commands
from support.trust import record

ELSEWHERE = "192.0.2.1"
"""An address reserved for documentation (RFC 5737)."""

ATTEMPTS = {
    "connect": lambda: socket.create_connection((ELSEWHERE, 443), timeout=2),
    "connect without name resolution": lambda: socket.socket().connect_ex((ELSEWHERE, 443)),
    "IPv6": lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 443)),
    "datagram": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", (ELSEWHERE, 53)),
    "getaddrinfo": lambda: socket.getaddrinfo("example.org", 443),
    "gethostbyname": lambda: socket.gethostbyname("example.org"),
}


def is_refused(attempt):
    # In a worker of pytest-xdist the hook is loaded twice, so its class is compared by name.
    with pytest.raises(ConnectionRefusedError, match="tests have no network") as refused:
        attempt()
    assert refused.type.__name__ == "NetworkRefused"
    return True


def test_the_network_is_refused():
    refused = sum(is_refused(attempt) for attempt in ATTEMPTS.values())
    record(
        "trust_hostile.csv",
        "network isolation",
        "ways to reach the network are closed to tests and their child processes",
        len(ATTEMPTS),
        refused,
        "python -m pytest tests/test_offline.py",
    )
    assert refused == len(ATTEMPTS)


def test_connections_to_this_machine_are_allowed():
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = threading.Thread(target=lambda: server.accept()[0].sendall(b"here"))
        answer.start()
        with socket.create_connection(("localhost", server.getsockname()[1]), timeout=5) as client:
            assert client.recv(4) == b"here"
        answer.join()


CHILD = f"import socket; socket.create_connection(({ELSEWHERE!r}, 443), timeout=0.2)"


def test_child_processes_have_no_network():
    run = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    assert "tests have no network" in run.stderr


def test_a_child_process_without_the_hook_tries_to_connect():
    """The control: the connection is refused by the hook and not by the machine."""
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, env=alone)
    assert "NetworkRefused" not in run.stderr
    assert run.returncode == 0 or "sock.connect(" in run.stderr, run.stderr


def test_commands_have_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    (tmp_path / "table.csv").write_text("year,y\n" + "".join(f"{2000 + i},{i % 7}\n" for i in range(60)))
    run = Commands()
    try:
        words = "--horizon 2 --context 16 --max-steps 1 --keep-branch --backbone nobody/no-such-model"
        refused = run("train", "--data", tmp_path / "table.csv", "--out", tmp_path / "m", *words.split(), check=False)
    finally:
        run.close()
    assert refused.returncode == 2
    assert "tests have no network" in refused.stderr
