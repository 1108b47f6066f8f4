"""Tests have no network, in their own process and in their children; and the check can fail."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from support.commands import Commands
from support.trust import record

ELSEWHERE = "192.0.2.1"
"""An address that belongs to nobody (RFC 5737)."""

ATTEMPTS = {
    "connect": lambda: socket.create_connection((ELSEWHERE, 443), timeout=2),
    "connect without a name": lambda: socket.socket().connect_ex((ELSEWHERE, 443)),
    "version 6": lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 443)),
    "datagram": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", (ELSEWHERE, 53)),
    "name": lambda: socket.getaddrinfo("example.org", 443),
    "old name": lambda: socket.gethostbyname("example.org"),
}


def is_refused(attempt):
    # A worker of pytest loads the hook as a child would, so its class may go by two names.
    with pytest.raises(ConnectionRefusedError, match="tests have no network") as refused:
        attempt()
    assert refused.type.__name__ == "NetworkRefused"
    return True


def test_the_network_is_refused():
    refused = sum(is_refused(attempt) for attempt in ATTEMPTS.values())
    words = "Ways to the network are closed to tests and to their children"
    record(
        "trust_hostile.csv", "9 supply chain", words, len(ATTEMPTS), refused, "python -m pytest tests/test_offline.py"
    )


def test_this_machine_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = threading.Thread(target=lambda: server.accept()[0].sendall(b"here"))
        answer.start()
        with socket.create_connection(("localhost", server.getsockname()[1]), timeout=5) as client:
            assert client.recv(4) == b"here"
        answer.join()


CHILD = f"import socket; socket.create_connection(({ELSEWHERE!r}, 443), timeout=0.2)"


def test_children_have_no_network_either():
    run = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    assert "tests have no network" in run.stderr


def test_a_child_without_the_hook_would_try():
    """The control: the refusal is the hook's own, not the machine's."""
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, env=alone)
    assert "NetworkRefused" not in run.stderr


def test_commands_have_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    (tmp_path / "table.csv").write_text("date,y\n" + "".join(f"{2000 + i},{i % 7}\n" for i in range(60)))
    run = Commands()
    try:
        words = "--horizon 2 --context 16 --max-steps 1 --backbone nobody/no-such-model"
        refused = run("train", "--data", tmp_path / "table.csv", "--out", tmp_path / "m", *words.split(), check=False)
    finally:
        run.close()
    assert refused.returncode == 2
    assert "tests have no network" in refused.stderr
