"""The page in a real browser: from a table to its forecast and report, and what goes wrong on the way."""

import re
import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

PAGE = Path(__file__).parents[2] / "docs" / "page.md"

DAYS = 60

SINKS = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", "onclick")
"""What would make markup or scripts of text."""

HOSTILE = "<img src=x onerror=alert(1)>"


def daily(**columns: Any) -> bytes:
    """A table of days as CSV."""
    days = pd.date_range("2024-01-01", periods=DAYS).strftime("%Y-%m-%d")
    return pd.DataFrame({"date": days, **columns}).to_csv(index=False).encode()


def weekly_cycle(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=DAYS)
    return np.round(20 + 5 * np.sin(2 * np.pi * np.arange(DAYS) / 7) + noise, 2)


SALES = daily(sales=weekly_cycle())


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a running service without a model."""
    yield from serving()


def serving(**settings: Any) -> Iterator[str]:
    import uvicorn

    from swt_time.serve.app import create_app
    from swt_time.serve.settings import Settings

    listener = socket.create_server(("127.0.0.1", 0))
    runner = uvicorn.Server(uvicorn.Config(create_app(Settings(**settings)), log_level="warning"))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    runner.should_exit = True
    thread.join(10)


@pytest.fixture
def visit(open_page: Callable[..., Any], server: str) -> Callable[..., Any]:
    def go(address: str = server, **window: Any) -> Any:
        opened = open_page(address, own=address, **window)
        opened.page.set_default_timeout(60_000)  # a process imports the libraries, on a machine that may be busy
        return opened

    return go


def send(page: Any, content: bytes, name: str = "sales.csv") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "text/csv", "buffer": content})


def looks_right(opened: Any) -> None:
    """No finding of axe and nothing wider than its window, wide and 360 pixels narrow, light and dark."""
    page = opened.page
    for scheme, width in (("dark", 360), ("light", 1280)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        assert (opened.serious(), opened.overflow()) == ([], 0)


def finished(page: Any) -> None:
    page.wait_for_selector("#result-part:not([hidden])")
    page.wait_for_selector("#chart .u-over")


def test_from_a_table_to_its_forecast_and_report_by_mouse(visit, tmp_path: Path):
    opened = visit()
    page = opened.page
    looks_right(opened)
    with page.expect_file_chooser() as choosing:
        page.click("label[for=file]")
    table = tmp_path / "sales.csv"
    table.write_bytes(SALES)
    choosing.value.set_files(table)
    page.wait_for_selector(".understood")
    assert page.inner_text(".first") == "One series: the column 'sales'."
    assert "one row every day, from 2024-01-01 to 2024-02-29" in page.inner_text("#understood")
    assert page.input_value("#horizon") == "14"
    page.click("#columns-title")
    page.click("#more summary")
    looks_right(opened)
    page.fill("#horizon", "3")
    page.click("#start")
    page.wait_for_selector("#progress-part:not([hidden]) .now")
    assert opened.serious() == []
    page.evaluate("document.querySelector('.understood').dataset.kept = 'yes'")
    finished(page)
    # what is announced when it changes is drawn once, not with every answer of the server
    assert page.locator(".understood[data-kept]").count() == 1
    assert page.inner_text("#chart-caption").startswith("sales: 3 steps from 2024-03-01 to 2024-03-03; on average")
    assert page.locator("#backtest-rows tr").count() == 3
    assert "swt-time has a mean absolute error of" in page.inner_text("#backtest-words")
    with page.expect_download() as saving:
        page.click("#download-table")
    assert saving.value.suggested_filename == "sales-forecast.csv"
    forecast = pd.read_csv(saving.value.path())
    assert list(forecast) == ["unique_id", "date", "yhat", "yhat-lo-80", "yhat-hi-80", "yhat-lo-95", "yhat-hi-95"]
    assert forecast["date"].tolist() == ["2024-03-01", "2024-03-02", "2024-03-03"]
    page.click("summary:has-text('Numbers')")
    shown = [float(one) for one in page.locator("#number-rows td:nth-child(2)").all_inner_texts()]
    np.testing.assert_allclose(shown, forecast["yhat"], rtol=1e-3)
    with page.expect_download() as saving:
        page.click("#download-report")
    assert saving.value.suggested_filename == "sales-report.html"
    assert "<!doctype html>" in Path(saving.value.path()).read_text()[:100].lower()
    page.hover("#chart .u-over", position={"x": 200, "y": 100})
    assert "value" in page.inner_text("#readout")
    looks_right(opened)
    opened.check()
    with page.context.expect_page() as opening:
        page.click("#open-report")
    opening.value.wait_for_load_state()
    assert opening.value.locator("h1").count() == 1
    assert opening.value.evaluate("self.origin") == "null"  # apart from the page
    assert opened.errors == []


def focus(page: Any, name: str, key: str = "Tab", most: int = 40) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(most):
        if page.evaluate("document.activeElement.id") == name:
            return
        page.keyboard.press(key)
    raise AssertionError(f"Tab does not lead to {name}")


def test_from_a_table_to_its_forecast_by_keyboard_alone(visit):
    opened = visit()
    page = opened.page
    focus(page, "paste-open")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "pasted"
    page.keyboard.insert_text(SALES.decode())
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".understood")
    assert page.evaluate("document.activeElement.id") == "table-title"
    focus(page, "horizon")
    page.keyboard.press("Control+a")
    page.keyboard.type("4")
    focus(page, "start")
    page.keyboard.press("Enter")
    page.wait_for_selector("#progress-part:not([hidden])")
    finished(page)
    page.wait_for_selector("#result-title:focus")
    focus(page, "chart")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#readout").startswith("2024-03-02 · forecast")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#readout").startswith("2024-02-29 · value")
    focus(page, "download-table", "Shift+Tab")
    with page.expect_download() as saving:
        page.keyboard.press("Enter")
    assert len(pd.read_csv(saving.value.path())) == 4
    assert page.evaluate("document.activeElement.id") == "download-table"
    opened.check()


def test_a_wrong_table_is_explained_at_its_field_and_can_be_corrected(visit):
    values = weekly_cycle().astype(object)
    values[20] = ""
    opened = visit()
    page = opened.page
    send(page, daily(sales=values))
    page.wait_for_selector("[data-field=fill] .field-error")
    message = page.inner_text("[data-field=fill] .field-error")
    assert "2024-01-21" in message or "row 22" in message
    assert "“Missing values”" in message
    assert "data." not in message
    assert page.get_attribute("#fill", "aria-invalid") == "true"
    assert opened.serious() == []
    page.select_option("#fill", "linear")
    page.wait_for_selector(".understood")
    assert "1 of 60 values are missing and were filled by a straight line" in page.inner_text("#understood")
    assert page.locator(".field-error:visible").count() == 0
    send_other = page.locator("#restart")
    send_other.click()
    send(page, b"\x00\x01\x02", "photo.csv")
    page.wait_for_selector("#table-error:not([hidden])")
    assert page.inner_text("#table-error").startswith("photo.csv is a binary file")
    assert not page.is_visible("#form")
    opened.check()


def test_a_fit_is_cancelled_and_survives_a_reload_and_no_name_becomes_markup(visit):
    names = [HOSTILE, "</script><script>alert(2)</script>", "javascript:alert(3)", *(f"s{i}" for i in range(12))]
    opened = visit()
    page = opened.page
    send(page, daily(**dict.fromkeys(names, weekly_cycle())), f"{HOSTILE}.csv")
    page.wait_for_selector(".understood")
    page.click("#columns-title")
    assert HOSTILE in page.inner_text("#column-rows")
    page.fill("#horizon", "5")
    page.click("#start")
    page.wait_for_selector("#progress-part:not([hidden])")
    page.click("#cancel")
    page.wait_for_selector("#ended:not([hidden])")
    assert page.inner_text("#ended").startswith("Cancelled")
    page.click("#start")
    page.wait_for_selector("#progress-part:not([hidden])")
    page.reload()  # in the middle
    page.wait_for_selector("#progress-part:not([hidden])")
    assert page.inner_text("#table-name") == f"{HOSTILE}.csv"
    finished(page)
    assert page.input_value("#horizon") == "5"
    assert page.inner_text("#chart-caption").startswith(f"{HOSTILE}: 5 steps")
    page.fill("#series-search", "S11")
    page.locator("#chart-caption", has_text="s11: 5 steps").wait_for()
    page.reload()
    finished(page)
    assert page.locator("main img, main script").count() == 0
    page.click("#restart")
    assert page.is_visible("#drop")
    opened.check()


def test_the_page_asks_for_the_token_of_its_server(open_page: Callable[..., Any]):
    servers = serving(tokens=("a-token-of-24-characters",))
    address = next(servers)
    opened = open_page(address, own=address)
    page = opened.page
    page.fill("#token", "wrong")
    page.click("#token-form button")
    page.locator("#token-error", has_text="does not know this token").wait_for()
    page.fill("#token", "a-token-of-24-characters")
    page.click("#token-form button")
    send(page, SALES)
    page.wait_for_selector("#table-part:not([hidden])")
    refused = [one for one in opened.errors if "401" in one]
    assert opened.errors == refused  # Chromium writes answers of 401 to the console
    assert len(refused) == 2
    next(servers, None)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    from swt_time.serve.app import create_app
    from swt_time.serve.jobs import JobLimits
    from swt_time.serve.settings import Settings

    app = create_app(Settings(jobs=JobLimits(upload_bytes=1000)))
    with TestClient(app, base_url="http://127.0.0.1:8000") as found:
        yield found


def test_other_sites_can_start_nothing(client: TestClient):
    own = {"X-SWT-Time": "page"}
    assert client.post("/jobs", content=b"a").status_code == 403
    assert client.post("/jobs", content=b"a", headers={**own, "Origin": "http://evil.example"}).status_code == 403
    assert client.post("/jobs", content=b"a", headers={**own, "Host": "evil.example"}).status_code == 421
    assert client.get("/jobs/guessed").status_code == 404
    found = client.post("/jobs?name=a.csv", content=b"a", headers={**own, "Origin": "http://127.0.0.1:8000"})
    assert found.status_code == 200
    name = found.json()["id"]
    changes = {"/read": "POST", "/forecast": "POST", "/cancel": "POST", "/future": "PUT", "": "DELETE"}
    for path, method in changes.items():
        assert client.request(method, f"/jobs/{name}{path}", content=b"{}").status_code == 403
    assert client.delete(f"/jobs/{name}", headers=own).status_code == 200
    assert client.get(f"/jobs/{name}").status_code == 404


def test_uploads_and_forms_are_bounded(client: TestClient):
    own = {"X-SWT-Time": "page"}
    refused = client.post("/jobs", content=b"x" * 1001, headers=own)
    assert refused.status_code == 413
    assert "larger than" in refused.json()["error"]["message"]
    name = client.post("/jobs", content=b"date,y\n2024-01-01,1\n", headers=own).json()["id"]
    for wrong in ({"command": "x"}, {"known": "a"}, {"target": "x" * 1001}, {"horizon": "many"}):
        assert client.post(f"/jobs/{name}/read", json=wrong, headers=own).status_code == 422
    for missing in ("forecast.csv", "report.html", "charts/0", "charts/-1", "charts/x", "..%2Ftable"):
        assert client.get(f"/jobs/{name}/{missing}").status_code in (404, 422)


def test_odd_requests_are_answered_without_a_defect(client: TestClient, caplog: pytest.LogCaptureFixture):
    own = {"X-SWT-Time": "page"}
    json = {**own, "Content-Type": "application/json"}
    name = client.post("/jobs?name=%00%ED%A0%80%0A..%2F", content=b"date,y\n2024-01-01,1\n", headers=own).json()["id"]
    found = [
        client.post("/jobs", content=b"", headers=own),
        client.post(f"/jobs?name={'x' * 300}", content=b"a", headers=own),
        client.post(f"/jobs/{name}/read", content=b'{"target": "\\ud800"}', headers=json),
        client.post(f"/jobs/{name}/read", content=b'{"horizon": 1e400}', headers=json),
        client.post(f"/jobs/{name}/read", content=b"[" * 900, headers=json),
        client.post(f"/jobs/{name}/read", content=b"\xff\xfe", headers=json),
        client.post(f"/jobs/{name}/forecast", content=b'{"horizon": 1' + b"0" * 400 + b"}", headers=json),
        client.post(f"/jobs/{name}/forecast", content=b"null", headers=json),
        client.put(f"/jobs/{name}/future?name=a&name=b", content=b"x", headers=own),
        client.get(f"/jobs/{name}/charts/{'9' * 400}"),
        client.get(f"/jobs/{'x' * 5000}"),
        client.get("/jobs/%2e%2e/%2e%2e/etc/passwd"),
        client.get("/static/..%2Fpage.py"),
        client.request("PATCH", f"/jobs/{name}", headers=own),
    ]
    assert [one.status_code for one in found if one.status_code >= 500] == []
    assert "Traceback" not in caplog.text
    client.delete(f"/jobs/{name}", headers=own)


def test_files_of_the_page_are_strict_and_complete(client: TestClient):
    from swt_time.serve.page import STATIC

    index = client.get("/")
    policy = index.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert client.get("/", headers={"If-None-Match": index.headers["etag"]}).status_code == 304
    for name in STATIC:
        text = client.get("/" if name == "index.html" else f"/static/{name}")
        assert text.status_code == 200
        assert text.headers["content-security-policy"] == policy
        if not name.startswith("uPlot"):
            assert [one for one in SINKS if one in text.text] == [], name
    assert {"index.html", "page.js"} <= set(STATIC)


def test_labels_in_messages_are_those_of_the_form(client: TestClient):
    from swt_time.serve.work import FIELDS, for_page

    index = client.get("/").text
    for field, label in FIELDS.values():
        assert f'data-field="{field}"' in index
        assert f">{label}<" in index
    said = for_page("/tmp/x/table, row 3: set data.fill to zero, or data.frequency", {"/tmp/x/table": "a.csv"})
    assert said == {"message": "a.csv, row 3: set “Missing values” to zero, or “Time step”", "field": "fill"}


def test_commands_of_the_docs_start_a_service(monkeypatch: pytest.MonkeyPatch):
    from swt_time import cli

    started: list[Any] = []
    monkeypatch.setattr("swt_time.serve.server.serve", started.append)
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    commands = [line.removeprefix("$ swt-time ") for block in blocks for line in block.splitlines()]
    for command in commands:
        assert cli.run(shlex.split(command)) == 0
    assert [one.port for one in started] == [8000] * 2
    limits = started[1].jobs
    assert (limits.fits, limits.seconds, limits.memory_mib) == (2, 600, 2048)


def test_rows_that_are_known_in_advance(visit):
    flags = (np.arange(DAYS) % 7 < 2).astype(int)
    opened = visit()
    page = opened.page
    send(page, daily(sales=weekly_cycle() + 10 * flags, promotion=flags))
    page.wait_for_selector(".understood")
    page.select_option("#target", "sales")
    page.locator(".check", has_text="promotion").click()
    page.locator(".first", has_text="One series").wait_for()
    page.fill("#horizon", "3")
    page.click("#start")
    page.wait_for_selector("[data-field=future] .field-error")
    assert "has no value at 2024-03-01" in page.inner_text("[data-field=future] .field-error")
    plans = b"date,promotion\n2024-03-01,1\n2024-03-02,0\n2024-03-03,0\n"
    page.set_input_files("#future", {"name": "plans.csv", "mimeType": "text/csv", "buffer": plans})
    page.locator("#future-name", has_text="plans.csv").wait_for()
    page.locator(".field-error:visible").wait_for(state="hidden")
    page.click("#start")
    page.locator(".now, .done", has_text="Compare methods").first.wait_for(state="attached")  # it may be over soon
    page.click("#restart")
    opened.check()
