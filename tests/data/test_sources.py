"""Download of datasets from a local server (complete, wrong, interrupted, slow, missing) and from a folder."""

import hashlib
import http.server
import os
import re
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from swt_time import cli
from swt_time.data import sources
from swt_time.data.sources import SOURCES, cache_folder, find_source, get_dataset
from swt_time.errors import ConfigError, DownloadError

BODY = np.random.default_rng(0).bytes(300_000)
CUT = 100_000


class Server(http.server.ThreadingHTTPServer):
    """Serve ``BODY``; ``behaviour`` lists the response to each request, the last one repeated."""

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
    """A dataset ``here`` on the server; the cache is in ``tmp_path``."""
    one = replace(SOURCES["etth1"], file="table.csv", url=server.url, sha256=(hashlib.sha256(BODY).hexdigest(),))
    monkeypatch.setattr(sources, "SOURCES", {"here": one})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return one


def files():
    return {path.name: path.read_bytes() for path in cache_folder().iterdir()}


def test_dataset_is_downloaded_once(server, source, tmp_path):
    seen = []
    path = get_dataset("HERE", report=lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "swt-time" / "data" / "table.csv"
    assert seen[-1] == (len(BODY), len(BODY))
    assert get_dataset("here") == path
    assert files() == {"table.csv": BODY}
    assert server.ranges == [None]


def test_download_with_wrong_hash_is_refused_and_deleted(server, source):
    server.behaviour = ["other", "serve"]
    with pytest.raises(
        DownloadError, match=r"has the wrong SHA-256: expected .*, got .*; the file at .* or its transfer is faulty"
    ):
        get_dataset("here")
    assert files() == {}
    assert get_dataset("here").read_bytes() == BODY


def test_changed_copy_in_the_cache_is_refused(server, source):
    path = get_dataset("here")
    path.write_bytes(BODY[:-1])
    with pytest.raises(DownloadError, match=r"has the wrong SHA-256.*delete it"):
        get_dataset("here")
    assert files() == {"table.csv": BODY[:-1]}


def test_interrupted_download_resumes(server, source):
    server.behaviour = ["cut", "serve"]
    assert get_dataset("here").read_bytes() == BODY
    assert server.ranges == [None, f"bytes={CUT}-"]


def test_failed_download_resumes_in_the_next_call(server, source):
    server.behaviour = ["cut", "missing", "serve"]
    with pytest.raises(DownloadError, match=f"404 Not Found.*the {CUT} bytes received are kept: try again"):
        get_dataset("here")
    assert files() == {"table.csv.part": BODY[:CUT]}
    assert get_dataset("here").read_bytes() == BODY
    assert server.ranges[-1] == f"bytes={CUT}-"
    assert files() == {"table.csv": BODY}


def test_server_without_ranges_sends_the_whole_file_again(server, source):
    server.behaviour = ["cut", "without ranges"]
    assert get_dataset("here").read_bytes() == BODY


def test_timeout_counts_as_interruption(server, source):
    server.behaviour = ["stall", "serve"]
    assert get_dataset("here", timeout=0.2).read_bytes() == BODY
    assert server.ranges == [None, f"bytes={CUT}-"]


@pytest.mark.parametrize("size", [len(BODY), len(BODY) + 5])
def test_partial_file_as_long_as_the_whole_is_discarded(server, source, size):
    cache_folder().mkdir(parents=True)
    (cache_folder() / "table.csv.part").write_bytes(b"x" * size)
    assert get_dataset("here").read_bytes() == BODY
    assert server.ranges == [f"bytes={size}-", None]


@pytest.mark.parametrize("kind", ["symbolic link", "dangling symbolic link", "hard link", "pipe", "folder"])
@pytest.mark.parametrize("local", [False, True], ids=["download", "copy"])
def test_planted_partial_file_is_not_written_to(server, source, tmp_path, kind, local):
    cache_folder().mkdir(parents=True)
    part, mine = cache_folder() / "table.csv.part", tmp_path / "mine"
    if kind != "dangling symbolic link":
        mine.write_bytes(b"mine")
    plant = {
        "symbolic link": lambda: part.symlink_to(mine),
        "dangling symbolic link": lambda: part.symlink_to(mine),
        "hard link": lambda: part.hardlink_to(mine),
        "pipe": lambda: os.mkfifo(part),
        "folder": part.mkdir,
    }
    plant[kind]()
    if local:
        (tmp_path / "local").mkdir()
        (tmp_path / "local" / "table.csv").write_bytes(BODY)
        assert get_dataset("here", folder=tmp_path / "local").read_bytes() == BODY
    else:
        with pytest.raises(ConfigError, match=r"cannot use .*table\.csv\.part: expected a regular file, found"):
            get_dataset("here")
    assert mine.exists() == (kind != "dangling symbolic link")
    assert not mine.exists() or mine.read_bytes() == b"mine"
    assert os.path.lexists(part)


def test_missing_file_names_the_remedy(server, source):
    server.behaviour = ["missing"]
    with pytest.raises(DownloadError) as error:
        get_dataset("here")
    assert f"cannot download {server.url} (404 Not Found); without network access, save the file as" in str(error.value)
    assert "--" not in str(error.value)
    assert files() == {}


def test_message_without_network(source, monkeypatch, capsys):
    with Server() as closed:
        nowhere = closed.url
    monkeypatch.setattr(sources, "SOURCES", {"here": replace(source, url=nowhere)})
    assert cli.run(["data", "get", "here"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert nowhere in printed
    assert (
        f"save the file as {cache_folder() / 'table.csv'} or pass the folder that contains it with --folder\n"
        in printed
    )


def test_copy_from_a_folder_is_verified(server, source, tmp_path):
    local, to = tmp_path / "local", tmp_path / "to"
    local.mkdir()
    with pytest.raises(ConfigError, match=r"the folder .*local has no file table\.csv; download it from http://"):
        get_dataset("here", folder=local, to=to)
    (local / "table.csv").write_bytes(BODY[1:])
    with pytest.raises(DownloadError, match=r"has the wrong SHA-256"):
        get_dataset("here", folder=local, to=to)
    assert not to.exists()
    (local / "table.csv").write_bytes(BODY)
    assert get_dataset("here", folder=local, to=to).read_bytes() == BODY
    assert get_dataset("here", folder=local, to=local).read_bytes() == BODY
    assert [path.name for path in to.iterdir()] == ["table.csv"]
    (to / "table.csv").write_bytes(b"mine")
    with pytest.raises(DownloadError, match=r"has the wrong SHA-256.*delete it"):
        get_dataset("here", folder=local, to=to)
    assert (to / "table.csv").read_bytes() == b"mine"
    assert server.ranges == []


def test_unwritable_folder_is_named(source, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write .*table\.csv.*choose another folder with to=\.\.\."):
        get_dataset("here", to=tmp_path / "file")
    assert cli.run(["data", "get", "here", "--to", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.endswith("; choose another folder with --to\n")


def test_command_prints_licence_hash_and_split(source, capsys):
    assert cli.run(["data", "get", "here"]) == 0
    printed = capsys.readouterr().out
    assert f"table: {cache_folder() / 'table.csv'}" in printed
    assert source.sha256[0] in printed
    assert "licence: CC BY-ND 4.0" in printed
    assert "--split etth" in printed


def test_unknown_dataset_lists_the_known_ones(capsys):
    assert cli.run(["data", "get", "traffic"]) == 2
    assert "unknown dataset 'traffic'; expected one of etth1, etth2, ettm1, ettm2, exchange" in capsys.readouterr().err


def test_every_source_has_a_fixed_revision_hash_and_licence():
    assert {find_source(name.upper()).file for name in SOURCES} == {one.file for one in SOURCES.values()}
    assert len({one.url for one in SOURCES.values()}) == 7
    for one in SOURCES.values():
        assert re.fullmatch(rf"https://[\w./-]+/[0-9a-f]{{40}}/[\w./-]+{re.escape(one.file)}", one.url)
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in one.sha256)
        assert one.sha256
        assert one.licence
