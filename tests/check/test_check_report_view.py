from __future__ import annotations

import io

import pytest
from rich.console import Console

from annoseq.check.checks import check_pairs
from annoseq.data.pairs import Pair, Pairs
from tests.check.table import TAGGED, table

REPORT = """\
pairs.csv: 4 rows, 1 document, task annotate (inferred), tags
{{LABEL}}text{{/LABEL}}

characters  shortest  median  mean  longest  in row
source            13      13  13.0       13       1
target            30      30  30.0       30       1

label  spans  nested
NAME       2       0
all 1      2       0

error: the annotated text without its tags is not the original: 2 rows
  row 2  at character 5: after 'Dr. A' the original has 'mes came', the
         annotated text has 'ims came'
  and 1 more: 4
  Make both the same, character for character, but for the tags.

note: identical pairs: 2 rows
  row 3  the same as row 1
  and 1 more: 4
  They count as often as they occur.

If the targets are not meant to be the sources plus tags, say so: --task
translate.
Not healthy: 2 of 4 rows cannot be used as they are.
"""


def shown(pairs: Pairs, *, rows: int = 5, width: int = 80, terminal: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    check_pairs(pairs).show(console, rows=rows)
    return "".join(line.rstrip() + "\n" for line in file.getvalue().splitlines())


def test_the_whole_report() -> None:
    wrong = ("Dr. Ames came", "Dr. {{NAME}}Aims{{/NAME}} came")
    texts = enumerate([TAGGED, wrong, TAGGED, wrong], 1)
    pairs = Pairs([Pair(*text, row=row, document="d") for row, text in texts], name="pairs.csv")
    report = shown(pairs, rows=1)
    assert report.replace(CONFLICT, "") == REPORT


CONFLICT = """\
warning: the same source with different annotations: 1 row
  row 2  the same source as row 1
  Annotate the same text in the same way, unless what surrounds it decides.

"""


def test_a_healthy_report_says_so() -> None:
    assert shown(table(TAGGED)).endswith("\nHealthy: every row can be used.\n")


def test_nested_labels_show_their_depth() -> None:
    assert "all 2, 2 deep      2       1\n" in shown(table(("ab", "{{A}}a{{B}}b{{/B}}{{/A}}")))


def test_no_rows_no_labels() -> None:
    report = shown(table())
    assert report.startswith("pairs.csv: 0 rows, task translate (inferred), no tags\n")


@pytest.mark.parametrize("rows", [0, 1, 3, 100])
def test_how_many_rows_are_shown(rows: int) -> None:
    report = shown(table(*[TAGGED] * 20), rows=rows)
    assert report.count("the same as row 1") == min(rows, 19)


def test_the_rows_that_are_not_shown_are_counted_and_the_next_named() -> None:
    report = shown(table(*[TAGGED] * 20), rows=2)
    assert "  and 17 more: 4, 5, ...\n" in report
    assert "  and 19 more: ...\n" in shown(table(*[TAGGED] * 20), rows=0)


@pytest.mark.parametrize("terminal", [False, True])
def test_data_is_never_markup_nor_an_escape_sequence(terminal: bool) -> None:
    row = ("[red]a[/red] \x1b[31m b", "{{[/bold]\x1b}}[red]a[/red]{{/[/bold]\x1b}} \x1b[31m b")
    wrong = ("[/] :smile: a", "[/] :smile: {{A}}b{{/A}}")
    report = shown(table(row, wrong), terminal=terminal)
    assert "[/bold]\\x1b" in report
    assert "'[/] :smile: '" in report
    assert "\x1b" not in report


@pytest.mark.parametrize("width", [40, 60, 200])
def test_row_numbers_are_whole_at_any_width(width: int) -> None:
    pairs = [Pair("Ames " * 50, "Aims " * 50 + "{{A}}x{{/A}}", row=123_456_789), *table(TAGGED)]
    report = shown(Pairs(pairs, name="pairs.csv"), width=width)
    assert "row 123456789" in report
    assert "…" not in report
    assert all(len(line) <= width for line in report.splitlines())


def test_a_notebook_shows_the_report_escaped() -> None:
    html = check_pairs(table(("<b>x", "<b>{{A}}x"), TAGGED, TAGGED))._repr_html_()
    assert html.startswith("<pre")
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "1 of 3 rows cannot be used as they are." in html
