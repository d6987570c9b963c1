"""Make the README's picture of a report: sample corpus, training, evaluation, headless Chromium.

    python scripts/report_picture.py docs/report.png

Needs `pip install 'annoseq[report]' playwright` and Chromium (apt-get install chromium, or
playwright install chromium). With --rows and --epochs it is sooner done.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

_WIDTH, _HEIGHT = 1100, 820


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--rows", default="4000", help="rows of the sample corpus")
    parser.add_argument("--epochs", help="epochs of training, if not the default")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = make_report(folder, rows=chosen.rows, epochs=chosen.epochs)
        take_picture(report, chosen.picture)


def make_report(folder: Path, *, rows: str, epochs: str | None) -> Path:
    """Do in a folder what a user does, and return the report."""
    more = ["--epochs", epochs] if epochs else []
    run(folder, "sample", "pairs.csv", "--rows", rows, "--seed", "42")
    run(folder, "train", "pairs.csv", "--out", "model", *more)
    run(folder, "evaluate", "model", "pairs.csv", "--report", "report.html")
    return folder / "report.html"


def run(folder: Path, *words: str) -> None:
    """Run a command of annoseq's."""
    program = "from annoseq.cli import main; main()"
    subprocess.run([sys.executable, "-c", program, *words], cwd=folder, check=True)


def take_picture(report: Path, picture: Path) -> None:
    """Show the scores, the labels with the most spans, and the first mistakes."""
    with sync_playwright() as driver:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        page.goto(report.as_uri(), timeout=120_000)
        page.wait_for_selector("#list")
        # A picture is short: of the labels four, and nothing between them and the mistakes.
        page.add_style_tag(
            content="#labels tbody tr:nth-child(n+5), nav, .legend {display: none} "
            "h2 {margin-top: 1.2rem}"
        )
        page.screenshot(path=str(picture))
        browser.close()


if __name__ == "__main__":
    main()
