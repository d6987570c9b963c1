from __future__ import annotations

import base64
import json
import re
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annoseq.data.markup import Span
from annoseq.errors import OptionError, OutputError
from annoseq.evaluation.counts import SpanComparison
from annoseq.evaluation.coverage_counter import CoverageCounter, MissedIdentifier
from annoseq.evaluation.coverage_scores import make_coverage_scores
from annoseq.evaluation.error_analysis import ERROR_TYPES
from annoseq.evaluation.learning_curve import CurveTotals
from annoseq.evaluation.sample_size import estimate_sample_size
from annoseq.inference.network_predictors import AttentionMap
from annoseq.reporting.html_page import EmbeddedImage, embed_json, import_jinja, render_markdown
from annoseq.reporting.report import (
    ReportData,
    make_report,
    make_report_rows,
    mask_words,
    write_report,
)
from tests.evaluation.test_learning_curve import simulated_runs
from tests.reporting.samples import HOSTILE, SECRET, sample_history, sample_rows, scores_of

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("jinja2")
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """Parsed page: the counts of its elements, and the figures in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.figures: dict[str, str] = {}
        self._name: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        known = dict(attrs)
        self.addresses += [value for name in ("src", "href") if (value := known.get(name))]
        self._name = known.get("data-all")

    def handle_data(self, data: str) -> None:
        if self._name:
            self.figures[self._name] = data
            self._name = None


@pytest.fixture(scope="module")
def html() -> str:
    rows = sample_rows()
    data = ReportData(title="a <model>", card="# Card\n</pre><script>", images=[])
    return make_report(scores_of(rows), rows, data=data)


def test_figures_are_those_of_the_scores(html: str) -> None:
    scores = scores_of(sample_rows()).scores
    assert Page(html).figures == {name: f"{score.value:.6f}" for name, score in scores.items()}


def test_nothing_in_the_data_is_markup(html: str) -> None:
    page = Page(html)
    assert page.elements["script"] == 2
    assert (page.elements["img"], page.elements["b"]) == (0, 1 + len(ERROR_TYPES))
    assert html.count("</script>") == 2
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert HOSTILE in [row["text"] for row in json.loads(data)["rows"]]
    assert not set("<>&\u2028") & set(data)


def test_the_model_card_is_rendered(html: str) -> None:
    assert "<h3>Card</h3>" in html
    assert "&lt;/pre&gt;&lt;script&gt;" in html


CARD = """# Model card

- **task**: annotate
- **labels**: <img src=x onerror=alert(1)>, A|B, `{{NAME}}`

| span f1 | leak |
|---|---|
| 0.9000 | 0.1000 |
"""


def test_markdown_becomes_lists_and_tables() -> None:
    html = render_markdown(CARD)
    page = Page(html)
    expected = {"h3": 1, "ul": 1, "li": 2, "p": 0, "strong": 2, "code": 1, "table": 1, "td": 2}
    assert {name: page.elements[name] for name in expected} == expected
    assert page.elements["img"] == 0
    assert "&lt;img src=x onerror=alert(1)&gt;" in html


@pytest.mark.parametrize(
    "text",
    [
        *("[a](javascript:alert(1))", "![a](https://example.org/a.png)", "<https://example.org>"),
        *("<script>alert(1)</script>", "a <b onclick=x>b</b>", "[a]: https://example.org\n\n[a]"),
        *("```<script>\nx\n```", "> " * 5000 + "x", "[" * 5000, "*a " * 5000, "- " * 5000),
    ],
)
def test_markdown_brings_no_address_and_no_element_of_its_own(text: str) -> None:
    page = Page(render_markdown(text))
    allowed = {"p", "em", "code", "pre", "blockquote", "ul", "li", "hr"}
    assert page.elements.keys() <= allowed
    assert page.addresses == []


def test_training_is_drawn_where_the_model_kept_it(html: str) -> None:
    rows = sample_rows()
    drawn = make_report(
        scores_of(rows), rows, data=ReportData(title="a model", history=sample_history())
    )
    assert Page(drawn).elements["polyline"] == 2 + 1 + 2
    assert 'href="#training"' in drawn
    assert Page(html).elements["polyline"] == 0
    assert 'id="training"' not in html


def test_nothing_is_fetched(html: str) -> None:
    assert [one for one in Page(html).addresses if not one.startswith(("#", "data:"))] == []
    assert "default-src 'none'" in html
    assert not re.search(r"@import|url\((?!data:)|fetch\(|XMLHttp|innerHTML", html)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_is_embedded_can_be_read_again(text: str) -> None:
    embedded = embed_json({"text": text})
    assert json.loads(embedded) == {"text": text}
    assert not set("<>&\u2028\u2029") & set(embedded)


def test_every_error_is_in_the_report() -> None:
    report = make_report_rows(sample_rows(), redact=False)
    assert report.counts == dict.fromkeys(ERROR_TYPES, 1) | {"missed": 61}
    assert sum(report.counts_by_label.values()) == len(report.errors) == 68
    assert {row["id"] for row in report.rows} == {row.id for row in sample_rows()}
    row, kind, label, score, gold, predicted, _ = report.errors[6]
    shown = report.rows[row]
    assert (list(ERROR_TYPES)[kind], report.labels[label], score) == ("split", "DATE", 0.8)
    assert [shown["gold"][place][:2] for place in gold] == [[34, 45]]
    assert [shown["predicted"][place][:2] for place in predicted] == [[34, 36], [37, 45]]
    assert report.rows[report.longest[0]]["text"] == HOSTILE


def test_rows_without_errors_are_left_out_except_for_the_longest() -> None:
    rows = [row for row in sample_rows() if row.id == "r9"] * 30
    report = make_report_rows(rows, redact=False)
    assert (len(report.rows), report.errors, report.hardest) == (10, [], [])


def test_redacted_no_text_is_left() -> None:
    rows = sample_rows()
    html = make_report(scores_of(rows), rows, data=ReportData(title="t"), redact=True)
    for secret in (SECRET, "Ames", "Bond", "onerror", "r10", "Rome"):
        assert secret not in html
    assert "Aaaaaaaaa aaa Aa. Aaaa aa Aaaa aa 00 Aaa 0000." in html
    assert "redacted" in html


@pytest.mark.parametrize("redact", [False, True])
def test_misses_of_coverage_are_linked_to_the_rows_that_are_shown(redact: bool) -> None:
    name, shown = Span(10, 14, "NAME"), sample_rows()[-1]
    hidden = [
        SpanComparison(str(row), f"{SECRET} {row} Bond", (name,), (name,)) for row in range(7, 130)
    ]
    rows = [*hidden, replace(shown, id="130")]
    counter = CoverageCounter(floor=1e-6)
    counter.add(shown.text, [name], [], document=None)
    places = [130, 130, *range(7, 67)]
    missed = [MissedIdentifier(row=row, label="NAME", start=10, end=14) for row in places]
    coverage = make_coverage_scores(counter.counts(), None, missed=missed)
    scores = scores_of(rows).model_copy(update={"coverage": coverage})
    page = make_report(scores, rows, data=ReportData(title="x"), redact=redact)
    [cell] = re.findall(r"<td>((?:<button|row ).*?)</td>", page[page.index("Coverage by label") :])
    number = "124" if redact else "130"
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    place = [row["id"] for row in json.loads(data)["rows"]].index(number)
    button = f'<button type="button" class="link" data-row="{place}">row {number}</button> (2)'
    assert cell.startswith(f"{button}, ")
    assert re.search(r"(?:^|, )row \d+(?:, |$| and)", cell), "rows that are not shown have no link"
    assert cell.endswith(" and 11 more rows")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Ames, 31yo\n", "Aa. Aaaa, 00aa "),
        ("Ñandú e\u0301 名前 ٣½ 😀 ª", "Aaaaa aa aa 00 ? a"),
        ("<b>&", "<a>&"),
    ],
)
def test_masked_words(text: str, expected: str) -> None:
    assert mask_words(text) == expected
    assert len(mask_words(text)) == len(text)


def test_reports_of_translations_have_only_scores() -> None:
    from annoseq.evaluation.counts import SpanComparison
    from annoseq.evaluation.score_file import make_score_file
    from annoseq.evaluation.scorer import Scorer

    rows = [SpanComparison("1", "a", (), (), target="b", output="b")]
    scorer = Scorer(labels=[], has_spans=False)
    scorer.add(rows)
    html = make_report(make_score_file(scorer, gold="x"), rows, data=ReportData(title="t"))
    assert Page(html).figures == {"exact_match": "1.000000"}
    assert 'id="errors"' not in html


def test_a_report_is_written_with_its_images(tmp_path: Path) -> None:
    rows, path = sample_rows(), tmp_path / "report.html"
    picture = tmp_path / "curves.png"
    picture.write_bytes(PIXEL)
    data = ReportData(title="t", images=[EmbeddedImage.read(picture)])
    write_report(scores_of(rows), rows, path, data=data)
    assert '<img src="data:image/png;base64,iVBOR' in path.read_text(encoding="utf-8")
    with pytest.raises(OutputError, match="exists already"):
        write_report(scores_of(rows), rows, path, data=data)


def test_images_that_cannot_be_embedded_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "curves.pdf"
    with pytest.raises(OptionError) as caught:
        EmbeddedImage.read(path)
    assert str(caught.value) == f"{path}: a picture in a report must end in .png or .svg."
    with pytest.raises(OptionError, match="cannot be read: No such file"):
        EmbeddedImage.read(tmp_path / "none.png")
    large = tmp_path / "large.svg"
    large.write_bytes(b" " * 1_000_001)
    with pytest.raises(OptionError) as caught:
        EmbeddedImage.read(large)
    assert str(caught.value) == (
        f"{large}: this picture has 1,000,001 bytes, and a report takes pictures of up to "
        "1,000,000. Make it smaller."
    )


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(OptionError) as caught:
        import_jinja()
    assert str(caught.value) == (
        "--report needs jinja2, which is not installed. Run: pip install 'annoseq[report]'"
    )
    with pytest.raises(OptionError, match=r"^annoseq certify needs jinja2"):
        import_jinja(needed_by="annoseq certify")


def test_attention_maps_are_shown_for_rows_with_errors() -> None:
    seen = AttentionMap(["Dear", " Ames"], ["Dear", "{{NAME}}"], ["90", "09"])
    plain, redacted = (
        make_report_rows(
            sample_rows(), redact=redact, attention=lambda row: seen if row.id == "r3" else None
        )
        for redact in (False, True)
    )
    assert plain.attention_maps == redacted.attention_maps == 1
    [row] = [row for row in plain.rows if "attention" in row]
    assert (row["id"], row["attention"]) == ("r3", [*seen])
    [row] = [row for row in redacted.rows if "attention" in row]
    assert row["attention"] == [["Aaaa", " Aaaa"], ["Aaaa", "{{NAME}}"], ["90", "09"]]


def test_attention_maps_stop_before_the_report_grows_large() -> None:
    wide = AttentionMap(["a"] * 800, ["b"] * 1000, ["0" * 800] * 1000)
    assert (
        make_report_rows(sample_rows(), redact=False, attention=lambda _: wide).attention_maps == 2
    )


def test_a_learning_curve_is_a_section() -> None:
    totals = CurveTotals.of(simulated_runs(0), replicates=20)
    curve = estimate_sample_size(totals, documents=160, target_f1=0.9)
    rows = sample_rows()
    data = ReportData(title="t", learning_curve=curve)
    html = make_report(scores_of(rows), rows, data=data)
    assert '<section id="learning-curve"' in html
    assert all(statement in html for statement in curve.statements())
    assert '<a href="#learning-curve">' in html
