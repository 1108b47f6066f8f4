"""Tables from addresses: fsspec's memory, and a server on this machine."""

import gzip
import http.server
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swt_time import Forecaster
from swt_time.cli import run
from swt_time.data import limits, opening
from swt_time.data.reading import read_table
from swt_time.data.writing import check_output
from swt_time.errors import MissingDependencyError, TableError

TABLE = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=60, freq="h"), "y": np.sin(np.arange(60) / 3)})
CSV = TABLE.to_csv(index=False).encode()
OPTIONS = {"backbone": "none", "max_steps": 0, "d_model": 4, "patch_len": 4, "stride": 2, "level": 1, "wavelet": "haar"}


@pytest.fixture
def memory():
    """fsspec's file system in the memory of this process, with a table."""
    system = pytest.importorskip("fsspec").filesystem("memory")
    system.pipe("/bucket/table.csv", CSV)
    yield system
    system.rm("/bucket", recursive=True)


@pytest.fixture
def server(tmp_path):
    """Address of a server on this machine; it serves one file, and asks for a password at another."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.partition("?")[0]
            requests.append(self.path)
            found = {"/table.csv": (200, CSV), "/private.csv": (403, b"no")}
            code, content = found.get(path, (404, b""))
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *words):
            pass

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("addresses")
    (folder / "table.csv").write_bytes(CSV)
    Forecaster(horizon=4, context=16, split="none", **OPTIONS).fit(TABLE).save(folder / "model")
    return folder


def forecast(model: Path, data: str, capsys) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``forecast``."""
    code = run(["forecast", "--model", str(model / "model"), "--data", data, "--out", "-"])
    return code, *capsys.readouterr()


def assert_refused(outcome: tuple[int, str, str], code: int, text: str) -> None:
    assert outcome[:2] == (code, "")
    (line,) = outcome[2].splitlines()
    assert text in line
    assert "no such file: http" not in line


def test_a_table_from_an_address(memory, model, capsys):
    code, shown, _ = forecast(model, "memory://bucket/table.csv", capsys)
    assert code == 0
    assert shown == forecast(model, str(model / "table.csv"), capsys)[1]


def test_an_address_as_a_path(memory):
    """``Path`` merges the slashes of an address."""
    for address in ("memory://bucket/table.csv", Path("memory://bucket/table.csv")):
        assert read_table(address)["y"].tolist() == TABLE["y"].tolist()


def test_a_file_by_its_address(model):
    assert read_table((model / "table.csv").as_uri())["y"].tolist() == TABLE["y"].tolist()
    with pytest.raises(TableError, match=r"no such file: /no/such/table\.csv"):
        read_table("file:///no/such/table.csv")
    with pytest.raises(TableError, match="expected a regular file, got a device"):
        read_table("file:///dev/zero")


def test_a_compressed_table_from_an_address(memory):
    memory.pipe("/bucket/table.csv.gz", gzip.compress(CSV))
    assert read_table("memory://bucket/table.csv.gz")["y"].tolist() == TABLE["y"].tolist()


def test_a_large_table_from_an_address_is_refused(memory, monkeypatch):
    monkeypatch.setattr(limits, "FILE_LIMIT", 100)
    with pytest.raises(TableError, match=r"memory://bucket/table\.csv has more than 100 bytes; split the table"):
        read_table("memory://bucket/table.csv")


def test_an_address_without_a_table(memory, model, capsys):
    assert_refused(
        forecast(model, "memory://bucket/other.csv", capsys),
        2,
        "there is no file at memory://bucket/other.csv; check the address",
    )
    assert_refused(
        forecast(model, "nosuch://bucket/other.csv", capsys), 2, "cannot read nosuch://bucket/other.csv (Protocol"
    )


def test_a_table_from_a_server(server, model, capsys):
    pytest.importorskip("aiohttp")
    code, shown, _ = forecast(model, f"{server}/table.csv?token=secret", capsys)
    assert code == 0
    assert shown == forecast(model, str(model / "table.csv"), capsys)[1]


def test_errors_of_a_server(server, model, capsys):
    pytest.importorskip("aiohttp")
    assert_refused(
        forecast(model, f"{server}/other.csv", capsys), 2, f"cannot read {server}/other.csv (404, message='Not"
    )
    outcome = forecast(model, f"{server.replace('//', '//user:secret@')}/private.csv?token=secret", capsys)
    assert_refused(outcome, 2, f"cannot read {server}/private.csv?... (403, message=")
    assert "secret" not in outcome[2]
    assert_refused(
        forecast(model, "http://127.0.0.1:1/table.csv", capsys), 2, "cannot read http://127.0.0.1:1/table.csv"
    )


@pytest.mark.parametrize(
    ("address", "missing", "remedy"),
    [
        ("https://example.com/table.csv", "aiohttp", 'pip install "swt-time[remote]"'),
        ("s3://bucket/table.csv", "s3fs", 'pip install "swt-time[remote]"'),
        ("gs://bucket/table.csv", "gcsfs", "gcsfs"),
        ("https://example.com/table.csv", "fsspec", 'pip install "swt-time[remote]"'),
    ],
)
def test_missing_packages_are_named(model, capsys, monkeypatch, address, missing, remedy):
    for name in [name for name in sys.modules if name.startswith("fsspec.implementations.http")]:
        monkeypatch.delitem(sys.modules, name)
    if missing != "fsspec":
        registry = pytest.importorskip("fsspec.registry")
        for scheme in ("http", "https", "s3", "gs"):
            monkeypatch.delitem(registry._registry, scheme, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    outcome = forecast(model, address, capsys)
    scheme = address.partition(":")[0]
    assert_refused(outcome, 1, f"cannot read {address}: {scheme}:// addresses need other packages")
    assert remedy in outcome[2]
    with pytest.raises(MissingDependencyError, match="addresses need other packages"):
        read_table(Path(address))


@pytest.mark.parametrize("address", ["https://example.com/out.csv", Path("s3://bucket/out.csv")])
def test_an_address_is_not_written(address):
    with pytest.raises(TableError, match=r"cannot write to the address .*; expected a file"):
        check_output(address)


def test_windows_drives_are_files():
    assert not opening.is_address("C://data/table.csv")
    assert opening.local_path("data:table.csv") == Path("data:table.csv")
