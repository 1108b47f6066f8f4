"""Benchmark tables from a server on this machine: whole, wrong, cut, slow, missing; and from a folder."""

import hashlib
import http.server
import re
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from swt_time import cli
from swt_time.data import sources
from swt_time.data.sources import SOURCES, cache_folder, find_source, get_table
from swt_time.errors import ConfigError, DownloadError

BODY = np.random.default_rng(0).bytes(300_000)
CUT = 100_000


class Server(http.server.ThreadingHTTPServer):
    """Serves ``BODY``; ``behaviour`` is what it does to each request in turn, the last one from then on."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour = ["serve"]
        self.ranges = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/table.csv"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        behaviour = self.server.behaviour
        act = behaviour.pop(0) if len(behaviour) > 1 else behaviour[0]
        self.server.ranges.append(self.headers["Range"])
        start = 0
        if self.headers["Range"] and act != "without ranges":
            start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
        if act == "missing":
            self.send_error(404)
            return
        if start >= len(BODY):
            self.send_error(416)
            return
        body = BODY[start:] if act != "other" else BODY[:-1] + b"!"
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:CUT] if act in ("cut", "stall") else body)
        if act == "stall":
            self.wfile.flush()
            time.sleep(1)

    def log_message(self, *words):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def source(server, monkeypatch, tmp_path):
    """A table ``here`` on the server; the cache lies in ``tmp_path``."""
    one = replace(SOURCES["etth1"], file="table.csv", url=server.url, sha256=(hashlib.sha256(BODY).hexdigest(),))
    monkeypatch.setattr(sources, "SOURCES", {"here": one})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return one


def files():
    return {path.name: path.read_bytes() for path in cache_folder().iterdir()}


def test_a_table_is_fetched_once(server, source, tmp_path):
    seen = []
    path = get_table("HERE", report=lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "swt-time" / "data" / "table.csv"
    assert seen[-1] == (len(BODY), len(BODY))
    assert get_table("here") == path
    assert files() == {"table.csv": BODY}
    assert server.ranges == [None]


def test_a_file_with_another_hash_is_refused_and_not_kept(server, source):
    server.behaviour = ["other", "serve"]
    with pytest.raises(
        DownloadError, match=r"is not the known table: expected sha256 .*, got .*; its home has changed it"
    ):
        get_table("here")
    assert files() == {}
    assert get_table("here").read_bytes() == BODY


def test_a_changed_copy_in_the_cache_is_refused(server, source):
    path = get_table("here")
    path.write_bytes(BODY[:-1])
    with pytest.raises(DownloadError, match=r"is not the known table.*delete it"):
        get_table("here")
    assert files() == {"table.csv": BODY[:-1]}


def test_a_cut_connection_goes_on_where_it_was_cut(server, source):
    server.behaviour = ["cut", "serve"]
    assert get_table("here").read_bytes() == BODY
    assert server.ranges == [None, f"bytes={CUT}-"]


def test_a_connection_that_stays_cut_goes_on_in_the_next_call(server, source):
    server.behaviour = ["cut", "missing", "serve"]
    with pytest.raises(DownloadError, match=f"404 Not Found.*the {CUT} bytes that came are kept: try again"):
        get_table("here")
    assert files() == {"table.csv.part": BODY[:CUT]}
    assert get_table("here").read_bytes() == BODY
    assert server.ranges[-1] == f"bytes={CUT}-"
    assert files() == {"table.csv": BODY}


def test_a_server_without_ranges_sends_everything_again(server, source):
    server.behaviour = ["cut", "without ranges"]
    assert get_table("here").read_bytes() == BODY


def test_a_slow_server_is_a_cut_connection(server, source):
    server.behaviour = ["stall", "serve"]
    assert get_table("here", timeout=0.2).read_bytes() == BODY
    assert server.ranges == [None, f"bytes={CUT}-"]


@pytest.mark.parametrize("size", [len(BODY), len(BODY) + 5])
def test_a_part_as_long_as_the_file_is_fetched_anew(server, source, size):
    cache_folder().mkdir(parents=True)
    (cache_folder() / "table.csv.part").write_bytes(b"x" * size)
    assert get_table("here").read_bytes() == BODY
    assert server.ranges == [f"bytes={size}-", None]


def test_a_missing_file_names_the_remedy(server, source):
    server.behaviour = ["missing"]
    with pytest.raises(DownloadError) as error:
        get_table("here")
    assert f"cannot fetch {server.url} (404 Not Found); without network, put the file there as" in str(error.value)
    assert files() == {}


def test_without_network_it_says_what_to_put_where(source, monkeypatch, capsys):
    with Server() as closed:
        nowhere = closed.url
    monkeypatch.setattr(sources, "SOURCES", {"here": replace(source, url=nowhere)})
    assert cli.run(["data", "get", "here"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert nowhere in printed
    assert f"put the file there as {cache_folder() / 'table.csv'} or name the folder" in printed


def test_a_local_copy_is_held_to_the_hash(server, source, tmp_path):
    local, to = tmp_path / "local", tmp_path / "to"
    local.mkdir()
    with pytest.raises(ConfigError, match=r"expected table.csv in --folder .*local; it comes from http://"):
        get_table("here", folder=local, to=to)
    (local / "table.csv").write_bytes(BODY[1:])
    with pytest.raises(DownloadError, match=r"is not the known table"):
        get_table("here", folder=local, to=to)
    assert not to.exists()
    (local / "table.csv").write_bytes(BODY)
    assert get_table("here", folder=local, to=to).read_bytes() == BODY
    assert get_table("here", folder=local, to=local).read_bytes() == BODY
    assert [path.name for path in to.iterdir()] == ["table.csv"]
    assert server.ranges == []


def test_a_place_that_cannot_be_written_is_named(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write .*table.csv.*choose a folder with --to"):
        get_table("here", to=tmp_path / "file")


def test_the_command_prints_licence_hash_and_split(source, capsys):
    assert cli.run(["data", "get", "here"]) == 0
    printed = capsys.readouterr().out
    assert f"table: {cache_folder() / 'table.csv'}" in printed
    assert source.sha256[0] in printed
    assert "licence: CC BY-ND 4.0" in printed
    assert "--split etth" in printed


def test_unknown_tables_are_named(capsys):
    assert cli.run(["data", "get", "traffic"]) == 2
    assert "unknown table 'traffic'; expected one of etth1, etth2, ettm1, ettm2, exchange" in capsys.readouterr().err


def test_every_source_is_fixed_and_licensed():
    assert {find_source(name.upper()).file for name in SOURCES} == {one.file for one in SOURCES.values()}
    assert len({one.url for one in SOURCES.values()}) == 7
    for one in SOURCES.values():
        assert re.fullmatch(rf"https://[\w./-]+/[0-9a-f]{{40}}/[\w./-]+{re.escape(one.file)}", one.url)
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in one.sha256)
        assert one.sha256
        assert one.licence
