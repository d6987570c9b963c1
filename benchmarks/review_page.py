"""Time from a key to the next paint in the review page, on a document of 200,000 characters.

The document is made of notes of the sample corpus with their gold spans as predictions. A reviewer
in headless Chromium presses each key a number of times; the browser itself measures from the key to
the paint that shows its effect (Event Timing, in steps of 8 ms). Saving goes on behind it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch

from annoseq.data.markup import Span, parse
from annoseq.errors import OptionError
from annoseq.review.project_input import InputRow, make_documents
from annoseq.review.project_records import DocumentPrediction
from annoseq.review.project_store import ProjectStore
from annoseq.sample import sample_pairs
from benchmarks.command import exit_status, provenance
from benchmarks.measure import describe_machine, markdown_table, write_report
from tests.review.page_driver import PageDriver, ReviewServer, open_browser

if TYPE_CHECKING:
    from collections.abc import Sequence

REPORT = Path(__file__).with_suffix(".md")
_PAGE = (1280, 800)
KEYS = {
    "next span": ("j",),
    "accept, and on to the next": ("a",),
    "reject, and on to the next": ("r",),
    "another label": ("2",),
    "undo": ("u",),
    "caret over a token": ("ArrowRight",),
    "caret to the next line": ("ArrowDown",),
    "select a token more": ("Shift+ArrowRight",),
    "to the end and back": ("Control+End", "Control+Home"),
}
"""Keys of the actions that are measured, pressed in turn."""
# Playwright's own waiting functions need `eval`, which the page's policy forbids.
_OBSERVE = """() => {
  globalThis.durations = [];
  new PerformanceObserver((list) => {
    for (const { name, duration } of list.getEntries()) {
      if (name === "keydown") durations.push(duration);
    }
  }).observe({ type: "event", durationThreshold: 16 });
}"""
_TAKE = "() => durations.splice(0)"


def make_document(characters: int, *, seed: int) -> tuple[str, list[Span]]:
    """Return a text of at least so many characters, made of the sample corpus, and its spans."""
    text: list[str] = []
    spans: list[Span] = []
    length = 0
    for pair in sample_pairs(characters // 20, seed=seed):
        row, found = parse(pair.target)
        spans += [Span(one.start + length, one.end + length, one.label, 0.9) for one in found]
        text.append(row + "\n")
        length += len(row) + 1
        if length >= characters:
            break
    return "".join(text), spans


def make_project(path: Path, text: str, spans: Sequence[Span]) -> None:
    """Write a project of one document."""
    documents = make_documents([InputRow(1, "long", 0, text)], seed=1, random_share=0.0)
    store = ProjectStore.create(path)
    design = {"random_share": 0.0, "draw_seed": 1}
    meta = {"title": "long", "is_audit": False, "labels": [], "input": "", "design": design}
    store.fill(meta, documents, model="", predictions=[DocumentPrediction(tuple(spans), 0.5)])
    store.close()


def measure(driver: PageDriver, *, times: int, between: int) -> dict[str, list[float]]:
    """Press every key and return the milliseconds to the paint, by action.

    What is below the browser's least duration of 16 ms is counted as that.
    """
    page = driver.page
    page.evaluate(_OBSERVE)
    driver.keys("t", "Control+Home")
    measured = {}
    for action, keys in KEYS.items():
        page.wait_for_timeout(between * 2)
        page.evaluate(_TAKE)
        for number in range(times):
            page.keyboard.press(keys[number % len(keys)])
            page.wait_for_timeout(between)
        driver.saved()
        page.wait_for_timeout(between * 2)
        found: list[float] = page.evaluate(_TAKE)
        found = [one for one in found if one > 0]
        measured[action] = sorted(found[:times] + [16.0] * (times - len(found)))
    return measured


def make_table(options: argparse.Namespace, folder: Path) -> tuple[str, dict[str, str]]:
    """Measure, and return the table and the facts of the document.

    Raises:
        OptionError: there is no Chromium.
    """
    text, spans = make_document(options.characters, seed=options.seed)
    path = folder / "review.db"
    make_project(path, text, spans)
    server = ReviewServer(path)
    server.start()
    try:
        with open_browser() as browser:
            if browser is None:
                raise OptionError("there is no Chromium. Run: playwright install chromium")
            page = browser.new_page(viewport={"width": _PAGE[0], "height": _PAGE[1]})
            driver = PageDriver(page, server)
            driver.begin()
            driver.open(1)
            measured = measure(driver, times=options.times, between=options.between)
            version = browser.version
    finally:
        server.kill()
    rows = [
        [action, *(f"{one:.0f}" for one in (median(all_), all_[int(0.95 * len(all_))], all_[-1]))]
        for action, all_ in measured.items()
    ]
    lines = text.count("\n")
    facts = {
        "document": f"{len(text):,} characters, {lines:,} lines, {len(spans):,} spans",
        "keys": f"{options.times} of each action, {options.between} ms apart",
        "scheduling": _scheduling(),
        "browser": f"Chromium {version}, headless, without a GPU, {_PAGE[0]} by {_PAGE[1]}",
    }
    return markdown_table(["milliseconds from key to paint", "median", "95 %", "most"], rows), facts


def _scheduling() -> str:
    """Return whether the other processes of the machine could get in the way."""
    policy = os.sched_getscheduler(0)
    if policy in {os.SCHED_FIFO, os.SCHED_RR}:
        return "real-time (`chrt -f 5`), so that other processes do not get in the way"
    return "as that of other processes"


ABOUT = """\
Time from a key to the paint that shows its effect, in the review page, on one long document of the
sample corpus with its gold spans as predictions. The browser measures it (Event Timing, in steps of
8 ms; what is below 16 ms counts as 16)."""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.review_page",
        description="Measure the time from key to paint in the review page.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--characters", type=int, default=200_000, help="length of the document")
    add("--times", type=int, default=40, help="keys of each action")
    add("--between", type=int, default=150, help="milliseconds between keys: a fast reviewer")
    add("--seed", type=int, default=42, help="seed of the sample corpus")
    add("--out", type=Path, default=REPORT, help="Markdown file that the results replace")
    options = parser.parse_args(arguments)
    for name in ("characters", "times", "between"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name}: a number above 0 was expected")
    return options


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print the table, and replace the report."""
    arguments = list(sys.argv[1:] if given is None else given)
    options = parse_arguments(arguments)

    def work() -> None:
        machine = describe_machine(torch.device("cpu"))
        with tempfile.TemporaryDirectory() as folder:
            table, facts = make_table(options, Path(folder))
        print(table)
        write_report(
            options.out,
            title="The review page",
            about=ABOUT,
            tables=[table],
            facts=facts | machine | provenance("review_page", arguments),
        )

    return exit_status(work)


if __name__ == "__main__":
    sys.exit(main())
