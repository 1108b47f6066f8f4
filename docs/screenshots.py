"""Make the pictures of pages in the docs: ``python docs/screenshots.py [--folder FOLDER]``.

It fits a model to the public dataset ETTh1, writes its report, and photographs parts of it in headless Chromium, driven
by Playwright; then it forecasts the same table on the page of a service. The dataset is downloaded, or taken from a
folder.
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from page_screenshots import photograph

from swt_time import Forecaster
from swt_time.data.sources import get_dataset
from swt_time.report import write_report

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
ROWS = 4000
"""Last rows of the dataset that are used."""


def the_report(folder: Path, dataset: Path) -> str:
    """Write a report and return its address."""
    table = pd.read_csv(dataset).tail(ROWS)
    forecaster = Forecaster(horizon=48).fit(table)
    write_report(forecaster, table, folder / "report.html", title="Transformer load, the next two days")
    return (folder / "report.html").as_uri()


def top(page: Any) -> None:
    """The beginning of a report."""


def viewer(page: Any) -> None:
    """The search and the zoomable chart."""
    page.fill("#viewer-search", "LUFL")
    page.locator("#viewer-chart").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.locator("#viewer").evaluate("(one) => window.scrollTo(0, one.getBoundingClientRect().top + scrollY - 12)")


def accuracy(page: Any) -> None:
    """Errors beside the baselines."""
    page.locator("#accuracy").evaluate("(one) => window.scrollTo(0, one.getBoundingClientRect().top + scrollY)")


SHOTS: dict[str, tuple[Callable[[Any], None], dict[str, Any]]] = {
    "report.png": (top, {"viewport": {"width": 1080, "height": 1000}}),
    "report_viewer.png": (viewer, {"viewport": {"width": 1080, "height": 820}, "color_scheme": "dark"}),
    "report_narrow.png": (accuracy, {"viewport": {"width": 360, "height": 720}}),
}
"""What is done before each picture, and the window that it is taken in."""


def small(picture: bytes, path: Path) -> None:
    """Write a picture with few colours, which makes its file small."""
    from PIL import Image

    Image.open(io.BytesIO(picture)).convert("RGB").quantize(96).save(path, optimize=True)


def main() -> None:
    """Make all pictures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="folder with ETTh1.csv; by default it is downloaded")
    parser.add_argument("--to", type=Path, default=HERE, help="folder to write the pictures in")
    chosen = parser.parse_args()
    dataset = get_dataset("etth1", folder=chosen.folder)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        address = the_report(Path(folder), dataset)
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, (prepare, window) in SHOTS.items():
            page = browser.new_context(**window).new_page()
            page.goto(address)
            prepare(page)
            small(page.screenshot(), chosen.to / name)
            print(chosen.to / name)
        table = pd.read_csv(dataset).tail(ROWS).to_csv(index=False).encode()
        photograph(browser, table, chosen.to, small)
        browser.close()


if __name__ == "__main__":
    main()
