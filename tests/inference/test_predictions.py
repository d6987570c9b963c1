from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from annoseq.data.tables import read_rows
from annoseq.errors import OutputError, TableError
from annoseq.evaluation.token_accuracy import Accuracy
from annoseq.inference.predictions import Prediction, Predictions

if TYPE_CHECKING:
    from pathlib import Path

AWKWARD = [
    "plain",
    "",
    'quotes "within" and ""twice""',
    "commas, and; tabs\t",
    "lines\nand\r\nline ends\n",
    "a lone\rcarriage return",
    "\r",
    " spaces at both ends ",
    "NA",
    "0012",
    "Zoë 😀 \u2028 \x85",
    "{{NAME}}tagged{{/NAME}}",
]
PREDICTIONS = Predictions(
    [Prediction(row, text, text[::-1], text * 2) for row, text in enumerate(AWKWARD, start=3)],
    Accuracy(),
)


def test_any_row_by_index() -> None:
    assert len(PREDICTIONS) == len(AWKWARD)
    assert PREDICTIONS[0] == Prediction(3, "plain", "nialp", "plainplain")
    assert PREDICTIONS[-1].source == AWKWARD[-1]
    assert [one.row for one in PREDICTIONS[2:4]] == [5, 6]
    with pytest.raises(IndexError):
        PREDICTIONS[len(AWKWARD)]


def test_exact_means_character_for_character() -> None:
    assert Prediction(1, "a", "b", "b").is_exact
    assert not Prediction(1, "a", "b", "b ").is_exact


def test_a_frame_has_a_row_for_each() -> None:
    frame = PREDICTIONS.to_frame()
    assert list(frame.columns) == ["source", "target", "output"]
    assert list(frame.index) == list(range(3, 3 + len(AWKWARD)))
    assert list(frame["source"]) == AWKWARD
    assert list(Predictions([], Accuracy()).to_frame().columns) == ["source", "target", "output"]


def test_showing_puts_them_side_by_side() -> None:
    console = Console(file=StringIO(), width=100)
    PREDICTIONS.show(1, console=console)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert all(word in shown for word in ("row", "source", "target", "output"))
    assert all(word in shown for word in ("3", "plain", "nialp", "plainplain"))
    assert "quotes" not in shown


def test_markup_of_the_console_is_shown_as_it_is() -> None:
    console = Console(file=StringIO(), width=100)
    Predictions([Prediction(1, "[red]a[/]", "[b]", "[/]")], Accuracy()).show(console=console)
    assert isinstance(console.file, StringIO)
    assert all(text in console.file.getvalue() for text in ("[red]a[/]", "[b]", "[/]"))


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet", "out.csv.gz"])
def test_written_rows_are_read_back_unchanged(tmp_path: Path, name: str) -> None:
    PREDICTIONS.write(tmp_path / name)
    columns = ["source", "target", "output"]
    rows = list(read_rows(tmp_path / name, columns=columns, keys=["row"]))
    assert [
        Prediction(int(row.values["row"]), *(row.values[column] for column in columns))
        for row in rows
    ] == list(PREDICTIONS)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with pytest.raises(TableError) as caught:
        PREDICTIONS.write(path)
    assert str(caught.value).startswith(
        f"{path}: the suffix '.txt' stands for no known format. Use a name that ends in one of .csv"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine")
    with pytest.raises(OutputError) as caught:
        PREDICTIONS.write(path)
    assert str(caught.value) == (
        f"{path} exists already. Choose another name, or add --overwrite to replace it."
    )
    assert path.read_text() == "mine"
    PREDICTIONS.write(path, overwrite=True)
    assert path.read_text(encoding="utf-8") != "mine"


def test_they_are_an_escaped_html_table() -> None:
    drawn = Predictions([Prediction(1, "<b>", "{{N}}&{{/N}}", "x")], Accuracy())._repr_html_()
    assert drawn.startswith("<table><caption>&lt;Predictions: 1 row, 0 exact&gt;</caption>")
    assert "&lt;b&gt;" in drawn
    assert "&amp;" in drawn
    assert "<b>" not in drawn


def test_their_repr_is_a_line_without_texts() -> None:
    assert repr(PREDICTIONS) == f"<Predictions: {len(AWKWARD)} rows, 1 exact>"
    assert repr(PREDICTIONS[0]) == "Prediction(row=3, is_exact=False)"
