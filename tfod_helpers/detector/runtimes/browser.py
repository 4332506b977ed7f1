"""A headless Chromium that runs what is made for browsers: one for the whole process, closed at its end."""

from __future__ import annotations

import atexit
import base64
import functools
import os
import shutil
import threading
import weakref
from collections.abc import Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 110  # until a call counts as hanging; Selenium itself waits for two minutes
_left: list[str] = []  # tabs to be closed
_busy = threading.RLock()  # the browser looks at one page at a time


class Page:
    """A page that is open in the browser, in a tab of its own, for as long as this object lives."""

    def __init__(self, url: str) -> None:
        with _busy:
            self._driver, first = _browser()
            _close(self._driver)
            self._driver.switch_to.window(first)  # which stays, so that there is one to come from
            self._driver.switch_to.new_window("tab")
            self._handle = self._driver.current_window_handle
            # Python may finalize it amid another call to the browser, so that its tab is only put on a list.
            weakref.finalize(self, _left.append, self._handle).atexit = False
            self._driver.get(url)

    def call(self, script: str, *arguments: str | float) -> Any:
        """Run the body of an asynchronous JavaScript function on the page.

        Args:
            script: may ``await``; ``arguments`` is the array of the arguments.
            *arguments: for it.

        Returns:
            What it returns, as JSON knows it.

        Raises:
            RuntimeError: it raised an error.
        """
        body = (
            "const done = arguments[arguments.length - 1];"
            f"(async function () {{ {script} }})(...arguments)"
            ".then((value) => done({ value }), (error) => done({ error: String(error) }));"
        )
        with _busy:
            self._driver.switch_to.window(self._handle)
            answer = self._driver.execute_async_script(body, *arguments)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def add_scripts(self, paths: Sequence[Path]) -> None:
        """Load JavaScript files into the page."""
        add = "const one = document.createElement('script'); one.textContent = arguments[0]; document.head.append(one);"
        for path in paths:
            self.call(add, path.read_text(encoding="utf-8"))

    def add_files(self, name: str, paths: Sequence[Path]) -> None:
        """Give files of any size to the page, which finds them in the global variable ``name``, an array of File."""
        make = (
            "const input = document.createElement('input'); input.type = 'file'; input.multiple = true;"
            "document.body.replaceChildren(input); input.onchange = () => { window[arguments[0]] = [...input.files]; };"
        )
        with _busy:
            self.call(make, name)
            field = self._driver.find_element("css selector", "input")
            field.send_keys("\n".join(str(path.resolve()) for path in paths))


def serve(folder: Path) -> str:
    """Serve a folder to this machine alone, until the process ends; return its address."""
    handler = functools.partial(_Silent, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def to_text(data: bytes) -> str:
    """Return bytes as base64, which a page turns back by `BYTES`."""
    return base64.b64encode(data).decode("ascii")


BYTES = "const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));"


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


def start(*arguments: str) -> Chrome:
    """Start a headless Chromium.

    Args:
        *arguments: more of its switches.

    Raises:
        ImportError: Selenium or a Chromium with its driver is not installed.
    """
    try:
        from selenium import webdriver
    except ImportError as error:
        raise ImportError(
            "Running this export takes Selenium, which drives a browser. Install it: pip install tfod_helpers[browser]"
        ) from error
    driver = shutil.which("chromedriver")
    if driver is None:
        raise ImportError(
            "Running this export takes a browser, and there is no chromedriver on this machine. Install Chromium or "
            "Chrome with its driver; Debian: apt-get install chromium chromium-driver, macOS: brew install --cask "
            "chromium chromedriver."
        )
    options = webdriver.ChromeOptions()
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is not None:  # otherwise the driver looks where Chrome is usually installed
        options.binary_location = found
    quiet = ["--headless=new", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"]
    # Chromium's sandbox does not start as root, which containers and Colab run as; it sees our own pages only.
    unboxed = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    for argument in [*quiet, *unboxed, *arguments]:
        options.add_argument(argument)
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_script_timeout(_SECONDS)
    return started


@functools.cache
def _browser() -> tuple[Chrome, str]:
    """Return the browser of this process, and its first tab."""
    started = start()
    atexit.register(started.quit)
    return started, started.current_window_handle


def _close(driver: Chrome) -> None:
    """Close the tabs of pages that nobody has any more."""
    while _left:
        driver.switch_to.window(_left.pop())
        driver.close()
