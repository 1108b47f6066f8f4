"""Pictures of the page for `screenshots.py`: a service is started, and a table is sent to its page."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Write = Callable[[bytes, Path], None]


@contextmanager
def service() -> Iterator[str]:
    """The address of a running service without a model."""
    import uvicorn

    from swt_time.serve.app import create_app
    from swt_time.serve.settings import Settings

    listener = socket.create_server(("127.0.0.1", 0))
    runner = uvicorn.Server(uvicorn.Config(create_app(Settings()), log_level="warning"))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    runner.should_exit = True
    thread.join()


def photograph(browser: Any, table: bytes, to: Path, write: Write) -> None:
    """Forecast a table on the page and write its pictures."""
    with service() as address:
        page = browser.new_page(viewport={"width": 1080, "height": 1000})
        page.set_default_timeout(300_000)
        page.goto(address)
        _take(page, table, to, write)
        page.close()


def _take(page: Any, table: bytes, to: Path, write: Write) -> None:
    page.set_input_files("#file", {"name": "transformer.csv", "mimeType": "text/csv", "buffer": table})
    page.wait_for_selector(".understood")
    page.fill("#horizon", "48")
    page.click("#start")
    page.locator("#compared-rows tr").nth(3).wait_for()
    write(page.screenshot(full_page=True), to / "page_progress.png")
    page.wait_for_selector("#chart .u-over")
    page.select_option("#series", "6")
    page.locator("#chart-caption", has_text="OT").wait_for()
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.locator("#result-part").evaluate("(one) => window.scrollTo(0, one.getBoundingClientRect().top + scrollY - 16)")
    write(page.screenshot(), to / "page.png")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 720})
    page.locator("figure").evaluate("(one) => window.scrollTo(0, one.getBoundingClientRect().top + scrollY - 16)")
    page.wait_for_timeout(300)  # the chart takes its new width
    write(page.screenshot(), to / "page_narrow.png")
