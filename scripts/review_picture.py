"""Make the README's picture of the review page: sample corpus, training, headless Chromium.

    python -m scripts.review_picture docs/review.png

Needs `pip install 'annoseq[serve]' pillow playwright` and Chromium (apt-get install chromium, or
playwright install chromium). With --rows and --epochs it is sooner done.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path
from typing import Literal

from PIL import Image

from annoseq.errors import OptionError
from annoseq.sample import sample_pairs
from tests.review.page_driver import PageDriver, ReviewServer, open_browser

_WIDTH, _HEIGHT = 1280, 680
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
        server = ReviewServer(folder / "r.db")
        server.start()
        try:
            take_picture(server, chosen.picture, scheme="dark" if chosen.dark else "light")
        finally:
            server.kill()


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


def take_picture(server: ReviewServer, picture: Path, *, scheme: Literal["light", "dark"]) -> None:
    """Show a note that is half done, with one span selected.

    Raises:
        OptionError: there is no Chromium.
    """
    with open_browser() as browser:
        if browser is None:
            raise OptionError("there is no Chromium. Run: playwright install chromium")
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme=scheme)
        driver = PageDriver(page, server)
        driver.begin()
        page.wait_for_selector("#text mark")
        for number in range(_DONE):
            # A model is not always right.
            name = page.inner_text(".document-name")
            driver.keys("n", *(["r"] if number % 3 == 0 else []), "Shift+A")
            page.keyboard.press("d")
            page.wait_for_selector(f'.document-name:not(:text-is("{name}"))')
        driver.keys("n", "a", "a", "r", "a")
        page.wait_for_selector("#toast:not(.shown)", state="attached")
        page.wait_for_timeout(500)  # the head is asked for a little later
        page.screenshot(path=str(picture))
    Image.open(picture).convert("RGB").quantize(_COLOURS).save(picture, optimize=True)


if __name__ == "__main__":
    main()
