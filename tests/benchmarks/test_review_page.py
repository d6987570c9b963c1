from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.markup import render
from benchmarks import review_page
from tests.review.page_driver import open_browser

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


def test_the_document_has_the_spans_of_its_rows() -> None:
    text, spans = review_page.make_document(2_000, seed=1)
    assert 2_000 <= len(text) < 2_400
    assert "{{DATE}}" in render(text, spans)


def test_every_action_is_measured(tmp_path: Path) -> None:
    pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    pytest.importorskip("fastapi")
    with open_browser() as browser:
        if browser is None:
            pytest.skip("needs Chromium")
    out = tmp_path / "report.md"
    words = ["--characters", "2000", "--times", "1", "--between", "20", "--out", str(out)]
    assert review_page.main(words) == 0
    report = out.read_text(encoding="utf-8")
    for action in review_page.KEYS:
        assert f"| {action} |" in report


def test_a_document_without_characters_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        review_page.main(["--characters", "0"])
    assert "--characters: a number above 0 was expected" in capsys.readouterr().err
