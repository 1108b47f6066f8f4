"""Make the pictures of the page in the docs: ``python docs/page_screenshots.py [--folder FOLDER]``.

It starts a service, sends the last rows of the public dataset ETTh1 to its page in headless Chromium, driven by
Playwright, and photographs what the page shows.
"""

import argparse
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from swt_time.data.sources import get_dataset

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
ROWS = 4000
"""Last rows of the dataset that are used."""


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


def small(picture: bytes, path: Path) -> None:
    """Write a picture with few colours, which makes its file small."""
    from PIL import Image

    Image.open(io.BytesIO(picture)).convert("RGB").quantize(96).save(path, optimize=True)


def take(page: Any, table: bytes, to: Path) -> None:
    """Forecast a table on the page and write its pictures."""
    page.set_input_files("#file", {"name": "transformer.csv", "mimeType": "text/csv", "buffer": table})
    page.wait_for_selector(".understood")
    page.fill("#horizon", "48")
    page.click("#start")
    page.locator("#compared-rows tr").nth(3).wait_for()
    small(page.screenshot(full_page=True), to / "page_progress.png")
    page.wait_for_selector("#chart .u-over")
    page.select_option("#series", "6")
    page.locator("#chart-caption", has_text="OT").wait_for()
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    page.locator("#result-part").evaluate("(one) => window.scrollTo(0, one.getBoundingClientRect().top + scrollY - 16)")
    small(page.screenshot(), to / "page.png")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 720})
    page.locator("figure").evaluate("(one) => window.scrollTo(0, one.getBoundingClientRect().top + scrollY - 16)")
    page.wait_for_timeout(300)  # the chart takes its new width
    small(page.screenshot(), to / "page_narrow.png")


def main() -> None:
    """Make all pictures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="folder with ETTh1.csv; by default it is downloaded")
    parser.add_argument("--to", type=Path, default=HERE, help="folder to write the pictures in")
    chosen = parser.parse_args()
    table = pd.read_csv(get_dataset("etth1", folder=chosen.folder)).tail(ROWS).to_csv(index=False).encode()
    with service() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1080, "height": 1000})
        page.set_default_timeout(300_000)
        page.goto(address)
        take(page, table, chosen.to)
        browser.close()


if __name__ == "__main__":
    main()
