"""Find and start the Chrome or Chromium that is installed on this machine."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

_FLAGS = (
    "--no-sandbox",  # needed as root, as in most containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # these tests are offline
)


def find_chromium() -> str | None:
    """Path of the browser: ``CHROME_PATH``, else the first known name on the path."""
    named = os.environ.get("CHROME_PATH")
    if named:
        return named
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def launch_chromium(playwright: Playwright) -> Browser:
    """Start the installed browser, headless and cut off from the network."""
    path = find_chromium()
    if path is None:
        message = "no Chrome or Chromium found: install one or set CHROME_PATH to its binary"
        raise FileNotFoundError(message)
    return playwright.chromium.launch(executable_path=path, headless=True, args=[*_FLAGS])
