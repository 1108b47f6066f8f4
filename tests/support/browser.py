"""A real browser for tests of pages: headless Chromium, driven by Playwright, with everything that a page did wrong.

``browser`` is one Chromium for a module, ``open_page`` opens pages in it. Both are fixtures of every test.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")

DENIED = ("http:", "https:", "ws:", "wss:", "ftp:")
"""Schemes of requests that leave a page; a page of a server on this machine makes those to its own address."""


def missing_browser() -> str | None:
    """Say why there is no browser for tests; None if there is one."""
    if not os.access(CHROMIUM, os.X_OK):
        return f"tests of pages need Chromium, and there is no {CHROMIUM}: apt-get install chromium"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return 'tests of pages need Playwright: pip install "swt-time[dev]"'
    return None


def go_without(reason: str) -> None:
    """Skip a test that has no browser; under continuous integration, which has one, fail it."""
    if os.environ.get("CI", "").lower() in ("", "0", "false"):
        pytest.skip(reason)
    pytest.fail(reason)


@dataclass
class Opened:
    """A page of the browser, and what happened in it.

    Attributes
    ----------
    page : playwright Page
    own : str
        Start of the addresses that the page may ask for; empty for a file, which may ask for none.
    errors : list of str
        Messages of the console that are errors or warnings, violations of the Content-Security-Policy among them, and
        exceptions that no script caught.
    dialogs : list of str
        Every ``alert``, ``confirm`` and ``prompt``; all were dismissed.
    requests : list of str
        Addresses outside ``own`` that the page asked for, which got no answer.
    """

    page: Any
    own: str = ""
    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Begin to record."""

        def on_console(message: Any) -> None:
            if message.type in ("error", "warning"):
                self.errors.append(f"{message.type}: {message.text}")

        def on_dialog(dialog: Any) -> None:
            self.dialogs.append(dialog.message)
            dialog.dismiss()

        def on_request(route: Any) -> None:
            address = route.request.url
            if address.startswith(DENIED) and not (self.own and address.startswith(self.own)):
                self.requests.append(address)
                route.abort()
            else:
                route.continue_()

        self.page.on("console", on_console)
        self.page.on("pageerror", lambda error: self.errors.append(f"exception: {error}"))
        self.page.on("dialog", on_dialog)
        self.page.on("popup", lambda popup: self.requests.append(f"popup {popup.url}"))
        self.page.route("**/*", on_request)

    def check(self) -> None:
        """Fail the test if anything was wrong."""
        assert (self.errors, self.dialogs, self.requests) == ([], [], [])

    def serious(self) -> list[str]:
        """Serious and critical findings of axe-core on the page as it is now, one line each."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['impact']} {one['id']}: {one['help']} ({len(one['nodes'])} times, as in {one['nodes'][0]['html']})"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    def overflow(self) -> int:
        """How many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One headless Chromium. Without one, tests are skipped, and fail where CI promises them."""
    reason = missing_browser()
    if reason is not None:
        go_without(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield found
        found.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Open an address in a window of its own: ``open_page(url, width=1280, height=900, script=True, own=...)``; other
    arguments are those of a context of Playwright, such as ``color_scheme``."""
    with ExitStack() as stack:

        def start(
            address: str, *, width: int = 1280, height: int = 900, script: bool = True, own: str = "", **context: Any
        ) -> Opened:
            window = browser.new_context(
                viewport={"width": width, "height": height}, java_script_enabled=script, **context
            )
            stack.callback(window.close)
            window.set_default_timeout(10_000)
            opened = Opened(window.new_page(), own)
            opened.watch()
            opened.page.goto(address)
            return opened

        yield start
