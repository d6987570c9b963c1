"""Make the README's picture of the review page: sample corpus, training, headless Chromium.

    python scripts/review_picture.py docs/review.png

Needs `pip install 'annoseq[serve]' pillow playwright` and Chromium (apt-get install chromium, or
playwright install chromium). With --rows and --epochs it is sooner done.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import sync_playwright

from annoseq.sample import sample_pairs

if TYPE_CHECKING:
    from playwright.sync_api import Page

_WIDTH, _HEIGHT = 1280, 680
_PATIENCE = 120
"""Seconds that the server may take to start."""
_COLOURS = 128
_NOTE_ROWS = 700
_DONE = 22
"""Documents that are done before the picture is taken."""
_PROGRAM = "from annoseq.cli import main; main()"


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--rows", default="4000", help="rows of the sample corpus")
    parser.add_argument("--epochs", help="epochs of training, if not the default")
    parser.add_argument("--dark", action="store_true", help="the dark look")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder, rows=chosen.rows, epochs=chosen.epochs)
        server, address = start_server(folder)
        try:
            take_picture(address, chosen.picture, scheme="dark" if chosen.dark else "light")
        finally:
            server.terminate()
            server.wait()


def make_project(folder: Path, *, rows: str, epochs: str | None) -> None:
    """Train on the sample corpus, and predict other notes, whole ones."""
    more = ["--epochs", epochs] if epochs else []
    run(folder, "sample", "pairs.csv", "--rows", rows, "--seed", "42")
    run(folder, "train", "pairs.csv", "--out", "model", *more)
    notes = folder / "notes"
    notes.mkdir()
    by_document = groupby(sample_pairs(_NOTE_ROWS, seed=7), key=lambda pair: pair.document)
    for number, (_, pairs) in enumerate(by_document, start=1):
        text = "\n".join(pair.source for pair in pairs)
        (notes / f"note-{number:03}.txt").write_text(text, encoding="utf-8")
    run(folder, "review", "notes", "--model", "model", "--project", "r.db", "--only-make")


def run(folder: Path, *words: str) -> None:
    """Run a command of annoseq's."""
    subprocess.run([sys.executable, "-c", _PROGRAM, *words], cwd=folder, check=True)


def start_server(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Serve the project on a free port, and wait until it answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    words = ["review", "--project", "r.db", "--no-browser", "--port", port]
    server = subprocess.Popen([sys.executable, "-c", _PROGRAM, *words], cwd=folder)
    address = f"http://127.0.0.1:{port}"
    for _ in range(_PATIENCE * 5):
        try:
            urlopen(f"{address}/api/project").close()
        except (URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return server, address
    raise TimeoutError("the server did not start")


def take_picture(address: str, picture: Path, *, scheme: Literal["light", "dark"]) -> None:
    """Show a note that is half done, with one span selected."""
    with sync_playwright() as driver:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme=scheme)
        page.goto(address)
        page.fill("#reviewer-name", "Ada")
        page.keyboard.press("Enter")
        page.wait_for_selector("#text mark")
        for number in range(_DONE):
            # A model is not always right.
            press(page, "n", *(["r"] if number % 3 == 0 else []), "Shift+A", "d")
        press(page, "n", "a", "a", "r", "a")
        page.wait_for_selector("#toast:not(.shown)", state="attached")
        page.wait_for_timeout(500)  # the head is asked for a little later
        page.screenshot(path=str(picture))
        browser.close()
    Image.open(picture).convert("RGB").quantize(_COLOURS).save(picture, optimize=True)


def press(page: Page, *keys: str) -> None:
    """Press keys, each after the one before is saved."""
    for key in keys:
        before = page.inner_text(".document-name")
        page.keyboard.press(key)
        if key == "d":
            page.wait_for_selector(f'.document-name:not(:text-is("{before}"))')
        page.wait_for_selector('#saved[data-saved="true"]')


if __name__ == "__main__":
    main()
