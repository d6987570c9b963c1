"""A review server in a process of its own, and a browser in which its page is used by a person."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

PATIENCE = 60_000
"""Milliseconds: a busy machine is no reason to fail."""

_PROGRAM = "from annoseq.cli import main; main()"
# Playwright's own `wait_for_function` needs `eval`, which the page's policy forbids.
_PLACE_OF = """([needle, at, nth]) => {
  const text = document.getElementById("text");
  const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
  const nodes = [];
  let all = "";
  while (walker.nextNode()) {
    nodes.push([walker.currentNode, all.length]);
    all += walker.currentNode.data;
  }
  let found = -1;
  for (let i = 0; i <= nth; i += 1) found = all.indexOf(needle, found + 1);
  if (found < 0) throw new Error("not in the text");
  const unit = found + at;
  const isEnd = at > 0;
  const [node, start] = nodes.findLast(([node, start]) => isEnd ? start < unit : start <= unit);
  const range = document.createRange();
  range.setStart(node, unit - start);
  range.setEnd(node, unit - start);
  node.parentElement.scrollIntoView({ block: "nearest" });
  const place = range.getClientRects()[0];
  return [place.left, place.top + place.height / 2];
}"""


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def open_browser() -> Iterator[Browser | None]:
    """Open headless Chromium; None where there is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        path = path or driver.chromium.executable_path
        if not Path(path).exists():
            yield None
            return
        browser = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"], timeout=PATIENCE
        )
        yield browser
        browser.close()


@dataclass
class ReviewServer:
    """`annoseq review` on a project, which can be killed and started again on the same port."""

    project: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        options = ["--project", str(self.project), "--port", str(self.port), "--no-browser"]
        with self.project.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, "review", *options], stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.project.with_suffix(".log").read_text()
            try:
                urlopen(f"{self.address}/api/project", timeout=5).close()
            except (URLError, ConnectionError):
                time.sleep(0.05)
            else:
                return
        raise TimeoutError("the server did not start")

    def run(self, *words: str) -> None:
        """Run another command."""
        subprocess.run([sys.executable, "-c", _PROGRAM, *words], check=True, capture_output=True)

    def kill(self) -> None:
        """Kill the server at once, as a power cut would."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class PageDriver:
    """A reviewer at the page."""

    page: Page
    server: ReviewServer
    name: str = "Ada"
    console: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Open the page, and give the name."""
        page = self.page
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.goto(self.server.address)
        page.fill("#reviewer-name", self.name)
        page.keyboard.press("Enter")
        page.wait_for_selector("#queue-rows li")

    def open(self, number: int) -> None:
        """Open a document, and wait until its text is there."""
        name = self.document(number)["name"]
        self.page.evaluate(
            "address => { document.querySelectorAll('dialog').forEach(one => one.close());"
            "location.hash = address }",
            f"#/documents/{number}",
        )
        self.page.wait_for_selector(f'.document-name:text-is("{name}")')
        self.saved()

    def saved(self) -> None:
        """Wait until no dialog is open and the page says that all is saved."""
        self.page.wait_for_selector("dialog", state="detached")
        self.page.wait_for_selector('#saved[data-saved="true"]')

    def keys(self, *keys: str) -> None:
        """Press keys, and wait until what they did is saved."""
        for key in keys:
            self.page.keyboard.press(key)
        self.saved()

    def document(self, number: int) -> dict[str, Any]:
        """Return a document as the server has it."""
        document: dict[str, Any] = self.get(f"documents/{number}")
        return document

    def get(self, path: str, *, reviewer: str | None = None) -> Any:
        """Return the server's answer."""
        headers = {"X-Reviewer": reviewer or self.name}
        return self.page.request.get(f"{self.server.address}/api/{path}", headers=headers).json()

    def post(self, path: str, body: dict[str, Any], *, reviewer: str | None = None) -> Any:
        """Send what another window or person would."""
        headers = {"X-Reviewer": reviewer or self.name}
        address = f"{self.server.address}/api/{path}"
        return self.page.request.post(address, headers=headers, data=body).json()

    def act(self, number: int, reviewer: str, *actions: dict[str, Any]) -> None:
        """Carry out actions of another reviewer."""
        for action in actions:
            revision = self.get(f"documents/{number}", reviewer=reviewer)["revision"]
            reply = self.post(
                f"documents/{number}/actions",
                {"revision": revision, "action": action},
                reviewer=reviewer,
            )
            assert "error" not in reply, reply

    def spans(self, number: int) -> list[tuple[str, str, str]]:
        """Return text, label and decision of the spans that the server has."""
        document = self.document(number)
        return [
            (document["text"][span["start"] : span["end"]], span["label"], span["decision"])
            for span in document["spans"]
        ]

    def accepted(self, number: int) -> list[tuple[str, str]]:
        """Return text and label of the accepted spans."""
        return [
            (text, label) for text, label, decision in self.spans(number) if decision == "accepted"
        ]

    def place(self, needle: str, at: int = 0, *, nth: int = 0) -> tuple[float, float]:
        """Return the place on the screen of a UTF-16 unit of the displayed text."""
        x, y = self.page.evaluate(_PLACE_OF, [needle, at, nth])
        return x, y

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag the mouse from one place to another, as slowly as the page answers."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        self.page.evaluate("() => new Promise(requestAnimationFrame)")
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        mouse.move(*end)
        mouse.up()

    def select(self, needle: str, *, nth: int = 0) -> None:
        """Select a piece of the text with the mouse."""
        units = len(needle.encode("utf-16-le")) // 2
        self.drag(self.place(needle, nth=nth), self.place(needle, units, nth=nth))

    def marks(self) -> Locator:
        """Return the spans drawn into the text."""
        return self.page.locator("#text mark")

    def dock(self) -> str:
        """Return what the dock says."""
        return self.page.inner_text("#dock .dock-told")
