from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from annoseq.data.markup import Span, render
from annoseq.data.tables import read_rows
from annoseq.data.text_inputs import InputText
from annoseq.inference.annotation import Annotation
from annoseq.inference.streaming import format_annotation, header

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.inference.streaming import OutputFormat

NASTY = [
    "",
    " two  spaces ",
    'say "hello", he said; 0012',
    "a\rb\r\nc\n",
    "\r",
    "NA",
    "naïve 👩‍⚕️ \u2028 \x85 \x1c \x00 \ufeff",
    'a {{NAME}} {{\\X}} ""',
]
texts = st.text(st.characters(exclude_categories=["Cs"]))


def annotated(text: str, *, alternatives: tuple[Annotation, ...] = ()) -> Annotation:
    spans = (Span(0, len(text), "ALL", score=0.5),) if text else ()
    return Annotation(text, render(text, spans), spans, -0.5, alternatives=alternatives)


def file(some: list[Annotation], format_: OutputFormat) -> bytes:
    rows = [
        format_annotation(InputText(str(n), one.text), one, format_)
        for n, one in enumerate(some, 1)
    ]
    return (header(format_) + "".join(rows)).encode()


def check_csv(some: list[Annotation], path: Path) -> None:
    path.write_bytes(file(some, "csv"))
    columns = ["text", "annotated", "spans", "score", "windows", "problem", "alternatives"]
    rows = list(read_rows(path, columns=columns, keys=["id"]))
    assert [row.values["id"] for row in rows] == [str(n) for n in range(1, len(some) + 1)]
    for row, one in zip(rows, some, strict=True):
        expected, values = one.to_dict(), row.values
        assert values["text"] == one.text
        assert values["annotated"] == one.annotated
        assert json.loads(values["spans"]) == expected["spans"]
        assert (float(values["score"]), int(values["windows"])) == (-0.5, 1)
        assert values["problem"] == (one.problem or "")
        assert (json.loads(values["alternatives"]) if values["alternatives"] else None) == (
            expected.get("alternatives")
        )


def test_csv_reads_back_exactly(tmp_path: Path) -> None:
    some = [annotated(text, alternatives=(annotated(text),)) for text in NASTY]
    broken = Annotation("Ames", "Bond", None, -0.5, problem="the text was changed")
    check_csv([*some, annotated("x")], tmp_path / "out.csv")
    path = tmp_path / "broken.csv"
    path.write_bytes(file([broken], "csv"))
    (row,) = read_rows(path, columns=["spans", "problem"])
    assert row.values == {"spans": "", "problem": "the text was changed"}


@given(st.lists(texts, min_size=1, max_size=5))
def test_jsonl_is_one_line_each_and_reads_back(some: list[str]) -> None:
    lines = file([annotated(text) for text in some], "jsonl").split(b"\n")
    assert lines.pop() == b""
    for number, (line, text) in enumerate(zip(lines, some, strict=True), 1):
        assert json.loads(line) == {"id": str(number), **annotated(text).to_dict()}


@given(texts)
def test_inline_is_the_annotated_text_and_nothing_else(text: str) -> None:
    assert file([annotated(text)], "inline").decode() == annotated(text).annotated
