from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.pairs import Pair, Pairs, read_pairs, write_pairs
from annoseq.errors import OutputError, TableError
from tests.data.strategies import texts

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = Pairs([Pair(f"s{n}", f"t{n}", n) for n in range(1, 8)], name="t.csv")
PLACED = Pairs([Pair("s", "t", 1, "d", 0), Pair("s", "t", 2, "e", 4)], name="t.csv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pairs")


def written(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_pairs_are_a_sequence() -> None:
    assert isinstance(PLAIN, Sequence)
    assert len(PLAIN) == 7
    assert PLAIN[0] == Pair("s1", "t1", 1)
    assert PLAIN[-1].row == 7
    assert [pair.row for pair in PLAIN] == list(range(1, 8))


def test_a_slice_of_pairs_is_pairs_of_the_same_name() -> None:
    some = PLAIN[1:6:2]
    assert isinstance(some, Pairs)
    assert some.name == "t.csv"
    assert [pair.row for pair in some] == [2, 4, 6]


def test_the_representation_holds_no_text() -> None:
    assert repr(PLAIN) == "Pairs('t.csv', 7 pairs)"


def test_head_and_tail_are_frames_indexed_by_row() -> None:
    pd.testing.assert_frame_equal(
        PLAIN.head(2),
        pd.DataFrame(
            {"orig_text": ["s1", "s2"], "annotated_text": ["t1", "t2"]},
            index=pd.Index([1, 2], name="row"),
        ),
    )
    assert list(PLAIN.head().index) == [1, 2, 3, 4, 5]
    assert list(PLAIN.tail().index) == [3, 4, 5, 6, 7]
    assert list(PLAIN.tail(1)["annotated_text"]) == ["t7"]
    assert len(PLAIN.head(100)) == len(PLAIN.tail(100)) == len(PLAIN.to_frame()) == 7
    assert len(PLAIN.head(0)) == len(PLAIN.tail(0)) == 0


def test_a_frame_has_documents_and_starts_where_the_pairs_have_them() -> None:
    frame = PLACED.to_frame()
    assert list(frame.columns) == ["orig_text", "annotated_text", "doc_id", "start"]
    assert list(frame["start"]) == [0, 4]
    assert list(PLAIN[:0].to_frame().columns) == ["orig_text", "annotated_text"]


def test_the_fingerprint_tells_texts_and_their_borders_apart() -> None:
    variants = [
        *[[Pair("ab", "c", 1)], [Pair("a", "bc", 1)], [Pair("ab", "c", 1, "")]],
        *[[Pair("ab", "c", 1, "d")], [Pair("ab", "c", 1)] * 2, [], [Pair("\udc80", "", 1)]],
    ]
    prints = {Pairs(pairs, name="t.csv").fingerprint() for pairs in variants}
    assert len(prints) == len(variants)
    assert all(re.fullmatch("[0-9a-f]{64}", found) for found in prints)


def test_the_fingerprint_depends_on_the_texts_alone() -> None:
    other = Pairs([Pair("s", "t", 8, "d"), Pair("s", "t", 9, "e", 1)], name="u.csv")
    assert other.fingerprint() == PLACED.fingerprint()
    assert PLAIN.fingerprint() == (  # written down: it must not change with a version
        "0e900c06163015766c867815fc7b7c7533a6ae6d9bd81d29c6cba244de59bb9b"
    )


def test_the_default_columns_are_read(folder: Path) -> None:
    path = written(folder, "annotated_text,x,orig_text\nT,1,S\n")
    pairs = read_pairs(path)
    assert pairs.name == str(path)
    assert list(pairs) == [Pair("S", "T", 1)]


def test_doc_id_and_start_are_used_where_the_table_has_them(folder: Path) -> None:
    path = written(folder, "start,doc_id,orig_text,annotated_text\n007,NA,S,T\n0,,S,T\n")
    assert list(read_pairs(path)) == [Pair("S", "T", 1, "NA", 7), Pair("S", "T", 2, "", 0)]


def test_columns_can_be_named(folder: Path) -> None:
    path = written(folder, '{"fr": "S", "en": "T", "file": 3, "at": 12, "start": "x"}\n', "t.jsonl")
    options: Any = {"source": "fr", "target": "en", "document": "file", "offset": "at"}
    assert list(read_pairs(path, **options)) == [Pair("S", "T", 1, "3", 12)]


def test_a_default_column_that_has_another_use_is_not_used_twice(folder: Path) -> None:
    path = written(folder, "start,doc_id\nS,T\n")
    assert list(read_pairs(path, source="start", target="doc_id")) == [Pair("S", "T", 1)]


@pytest.mark.parametrize("option", ["source", "target", "document", "offset"])
def test_a_named_column_must_be_there(option: str, folder: Path) -> None:
    path = written(folder, "orig_text,annotated_text\nS,T\n")
    options: Any = {option: "x"}
    with pytest.raises(TableError) as caught:
        read_pairs(path, **options)
    assert str(caught.value) == (
        f"{path}: there is no column 'x'. Its columns are 'orig_text', 'annotated_text'. "
        "Name one of these."
    )


@pytest.mark.parametrize("start", ["-1", "1.5", "nan", " 1", "x", "1e3", "²", "٣", "1" * 19, "1\n"])
def test_a_start_that_is_no_whole_number_is_named_by_row(start: str, folder: Path) -> None:
    path = written(folder, f'orig_text,annotated_text,start\nS,T,0\nS,T,"{start}"\n')
    with pytest.raises(TableError) as caught:
        read_pairs(path)
    assert str(caught.value) == (
        f"{path}: row 2: column 'start' does not hold a whole number from 0. "
        "Give the place of the text in its document, in characters."
    )


def test_a_start_may_be_a_whole_float_or_missing(folder: Path) -> None:
    path = written(folder, "orig_text,annotated_text,start\nS,T,3.0\nS,T,\n")
    assert [pair.start for pair in read_pairs(path)] == [3, None]
    with pytest.raises(TableError, match="row 2: column 'start' does not hold a whole number"):
        read_pairs(path, offset="start")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz"])
@settings(max_examples=20, deadline=None)
@given(
    fields=st.lists(st.tuples(texts, texts, texts, st.integers(0, 10**18 - 1)), min_size=1),
    has_document=st.booleans(),
    has_start=st.booleans(),
)
def test_what_is_written_is_read(
    fields: list[tuple[str, str, str, int]],
    has_document: bool,
    has_start: bool,
    suffix: str,
    folder: Path,
) -> None:
    pairs = [
        Pair(source, target, row, doc if has_document else None, start if has_start else None)
        for row, (source, target, doc, start) in enumerate(fields, 1)
    ]
    write_pairs(iter(pairs), folder / f"t{suffix}", overwrite=True)
    assert list(read_pairs(folder / f"t{suffix}")) == pairs


def test_the_columns_written_are_those_that_the_pairs_have(folder: Path) -> None:
    path = folder / "written.csv"
    write_pairs(PLACED, path, overwrite=True)
    assert path.read_text() == (
        '"doc_id","start","orig_text","annotated_text"\n"d",0,"s","t"\n"e",4,"s","t"\n'
    )
    write_pairs(PLAIN[:1], path, overwrite=True)
    assert path.read_text() == '"orig_text","annotated_text"\n"s1","t1"\n'
    write_pairs([], path, overwrite=True)
    assert path.read_text() == '"orig_text","annotated_text"\n'


def test_documents_of_some_pairs_only_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with pytest.raises(TableError) as caught:
        write_pairs([Pair("s", "t", 1, "d"), Pair("s", "t", 2)], path, overwrite=False)
    assert str(caught.value) == (
        f"{path}: the pair of row 2 or the first pair has a 'doc_id', but not both. "
        "Give it to every pair or to none."
    )
    assert not path.exists()


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "x")
    with pytest.raises(OutputError, match="exists already"):
        write_pairs(PLAIN, path, overwrite=False)
    assert path.read_text() == "x"


def test_a_notebook_shows_the_first_rows_with_marked_spans() -> None:
    tagged = Pair("<b> Ames", "<b> {{NAME}}Ames{{/NAME}}", 3)
    pairs = Pairs([tagged, Pair("x", "{{A}}x", 4), *[Pair("last", "z", 5)] * 9], name="<t>.csv")
    html = pairs._repr_html_()
    assert html.count("<tr>") == 1 + 5
    assert "Pairs(&#x27;&lt;t&gt;.csv&#x27;, 11 pairs)" in html
    assert html.count("<mark") == 1
    assert "&lt;b&gt; <mark" in html
    assert "{{NAME}}" not in html
    assert "{{A}}x" in html  # not well-formed: as it is


def test_a_notebook_shows_the_beginning_of_long_texts() -> None:
    text = "a" * 300 + " " + "b" * 300
    html = Pairs([Pair(text, "{{A}}" + text + "{{/A}}", 1)], name="t")._repr_html_()
    assert html.count("b" * 98 + "…") == 2
    assert "b" * 99 not in html
