"""The report in a real browser; skipped where there is no Playwright or no Chromium."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from annoseq.inference.network_predictors import AttentionMap
from annoseq.reporting.report import ReportData, write_report
from tests.reporting.samples import HOSTILE, sample_rows, scores_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.e2e

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
pytest.importorskip("jinja2")

_PATIENCE = 120_000
"""Milliseconds: a busy machine is no reason to fail."""


class Seen(NamedTuple):
    """An open page, what its console said, and what it asked for."""

    page: Page
    console: list[str]
    requests: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as driver:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        path = path or driver.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("needs Chromium: apt-get install chromium, or playwright install chromium")
        browser = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"], timeout=_PATIENCE
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, rows = tmp_path_factory.mktemp("report") / "report.html", sample_rows()
    seen = AttentionMap(["<i>", " Ames"], ["<i>", "{{N}}", " Ames"], ["90", "45", "09"])
    data = ReportData(title="a <model>", card="# Card", attention=lambda row: seen)
    write_report(scores_of(rows), rows, path, data=data)
    return path


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Path) -> Seen:
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.set_default_timeout(_PATIENCE)
    console: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("dialog", lambda dialog: console.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    return Seen(page, console, requests)


def count(page: Page) -> str:
    return page.inner_text("#count").partition(" errors")[0]


def test_filters_select_errors(opened: Seen) -> None:
    page = opened.page
    page.click("#reset")
    assert count(page) == "68 of 68"
    page.click("[data-type=split]")
    assert count(page) == "1 of 68"
    assert page.get_attribute("[data-type=split]", "aria-pressed") == "true"
    # The gold span covers the space between the two predicted ones.
    assert page.locator("#list ins").all_text_contents() == [" "]
    assert page.locator("#list mark").all_text_contents() == ["12", "May 2020"] * 2
    page.click("#reset")
    page.select_option("#label", "CITY")
    assert count(page) == "0 of 68"  # its error is counted under the label of the first merged span
    page.select_option("#label", "NAME")
    page.fill("#search", "xanthippe")
    assert count(page) == "7 of 68"
    page.select_option("#sort", "high")
    assert "score 0.990" in page.inner_text("#list .item >> nth=0")
    page.select_option("#sort", "low")
    assert "score 0.200" in page.inner_text("#list .item >> nth=0")
    page.click("#reset")


def test_the_list_grows_and_keys_walk_it(opened: Seen) -> None:
    page = opened.page
    page.click("#reset")
    assert page.locator("#list .item").count() == 50
    page.click("#more")
    assert page.locator("#list .item").count() == 68
    assert page.locator("#more").is_hidden()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("j")
    focused = "[...document.querySelectorAll('#list .item')].indexOf(document.activeElement)"
    assert page.evaluate(focused) == 1
    page.keyboard.press("k")
    assert page.evaluate(focused) == 0
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("j")
    assert page.input_value("#search") == "j"
    page.click("#reset")


def test_texts_are_shown_as_they_are(opened: Seen) -> None:
    page = opened.page
    page.fill("#search", "r10")
    item = page.locator("#list .item").first
    assert item.locator("ins").all_text_contents() == ["Ames"]
    assert HOSTILE in (item.locator(".text").last.text_content() or "")
    page.click("#hardest button >> nth=0")
    assert "row r" in page.inner_text("#row")
    page.click("#reset")


def test_attention_is_drawn(opened: Seen) -> None:
    page = opened.page
    page.fill("#search", "r10")
    page.click("#list button:text-is('attention')")
    assert page.locator(".heat td[title]").count() == 6
    assert page.get_attribute(".heat td[title] >> nth=3", "title") == "{{N}} ←  Ames: 0.5"
    cells = "[...document.querySelectorAll('.heat td[title]')]"
    shades = f"{cells}.map(one => getComputedStyle(one).backgroundColor)"
    assert len(set(page.evaluate(shades))) == 4
    page.click("#reset")


def test_it_fits_a_phone_follows_the_theme_and_asks_for_nothing(opened: Seen, report: Path) -> None:
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    dark = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(dark) == "rgb(20, 23, 26)"
    page.emulate_media(color_scheme="light")
    assert page.evaluate(dark) == "rgb(255, 255, 255)"
    assert opened.console == []
    assert opened.requests == [report.as_uri()]
