"""Pairs from data frames and from Hugging Face datasets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from annoseq.data.pairs import Pair, Pairs
from annoseq.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = ("orig_text", "annotated_text")
ROWS = [("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}"), ("", " NA "), ("nan", "a\rb\n")]


class FakeDataset:
    """As much of `datasets.Dataset` as is used."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._columns = columns
        self.column_names: Any = list(columns)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for values in zip(*self._columns.values(), strict=True):
            yield dict(zip(self._columns, values, strict=True))


def from_frame(columns: dict[str, Any], **options: str) -> Pairs:
    return Pairs.from_frame(pd.DataFrame(columns), **options)


def from_dataset(columns: dict[str, Any], **options: str) -> Pairs:
    return Pairs.from_dataset(FakeDataset(columns), **options)


either = pytest.mark.parametrize("make", [from_frame, from_dataset])


def texts(**more: Any) -> dict[str, Any]:
    return dict(zip(COLUMNS, map(list, zip(*ROWS, strict=True)), strict=True)) | more


@either
def test_texts_survive_unchanged_and_rows_count_from_one(make: Any) -> None:
    pairs = make(texts(other=[None] * 3))
    assert list(pairs) == [Pair(*row, number) for number, row in enumerate(ROWS, 1)]


def test_the_index_of_a_frame_is_not_the_rows_number() -> None:
    frame = pd.DataFrame(texts(), index=[7, 7, 9])
    assert [pair.row for pair in Pairs.from_frame(frame)] == [1, 2, 3]


@either
def test_columns_can_be_named(make: Any) -> None:
    pairs = make(
        {"a": ["x"], "b": ["y"], "note": ["n1"], "at": [5]},
        **{"source": "a", "target": "b", "document": "note", "offset": "at", "name": "mine"},
    )
    assert list(pairs) == [Pair("x", "y", 1, "n1", 5)]
    assert pairs.name == "mine"


@either
def test_the_default_columns_of_documents_and_offsets_are_used_if_there(make: Any) -> None:
    pairs = make(texts(doc_id=[1, 1, 2], start=["0", "9", "0"]))
    assert [(pair.document, pair.start) for pair in pairs] == [("1", 0), ("1", 9), ("2", 0)]


@either
def test_whole_numbers_beside_missing_values_are_whole(make: Any) -> None:
    pairs = make(texts(doc_id=[1.0, None, 2.0], start=[4.0, float("nan"), 0.0]))
    assert [(pair.document, pair.start) for pair in pairs] == [("1", 4), (None, None), ("2", 0)]


@either
@pytest.mark.parametrize("option", ["document", "offset"])
def test_a_column_that_is_named_has_no_missing_values(make: Any, option: str) -> None:
    with pytest.raises(TableError, match=r"row 2: column 'x' holds no value where a text or a who"):
        make(texts(x=["1", None, "2"]), **{option: "x"})


def test_numbers_of_numpy_are_numbers() -> None:
    pairs = from_frame(texts(start=np.array([0, 4, 8], np.int32)))
    assert [pair.start for pair in pairs] == [0, 4, 8]


@either
@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        (None, "no value"),
        (float("nan"), "no value"),
        (3, "a value of type int"),
        (b"x", "a value of type bytes"),
        (["x"], "a value of type list"),
    ],
)
def test_a_cell_that_is_no_text_is_an_error(make: Any, cell: object, kind: str) -> None:
    columns = {"orig_text": pd.Series(["x", cell], dtype=object).tolist()}
    with pytest.raises(TableError) as caught:
        make(columns | {"annotated_text": ["x", "y"]})
    name = "the data frame" if make is from_frame else "the dataset"
    assert str(caught.value) == (
        f"{name}: row 2: column 'orig_text' holds {kind} where a text was expected. "
        "Fill it with text, or leave the row out."
    )


def test_missing_values_of_pandas_are_an_error() -> None:
    frame = pd.DataFrame(texts())
    for missing in (pd.NA, pd.NaT):
        frame["annotated_text"] = pd.Series(["x", missing, "y"], dtype=object)
        with pytest.raises(TableError, match="row 2: column 'annotated_text' holds no value where"):
            Pairs.from_frame(frame)


@either
@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("doc_id", ["a", True, "b"], "row 2: column 'doc_id' holds a value of type bool where a t"),
        ("start", [0, -1, 2], "row 2: column 'start' does not hold a whole number from 0"),
        ("start", [0.0, 1.5, 2.0], "row 2: column 'start' holds a fraction where a text or a who"),
        ("start", [0.0, float("inf"), 2.0], "row 2: column 'start' holds an infinite number whe"),
        ("start", ["0", "x", "2"], "row 2: column 'start' does not hold a whole number from 0"),
    ],
)
def test_documents_and_offsets_are_checked(
    make: Any, column: str, cells: list[Any], message: str
) -> None:
    with pytest.raises(TableError, match=message):
        make(texts(**{column: cells}))


@either
def test_half_a_character_is_an_error(make: Any) -> None:
    with pytest.raises(TableError, match="row 1: column 'orig_text' holds a lone surrogate"):
        make({"orig_text": pd.Series(["\ud800"], dtype=object), "annotated_text": ["x"]})


@either
def test_a_missing_column_and_a_table_without_rows_are_errors(make: Any) -> None:
    with pytest.raises(TableError, match=r"no column 'orig_text'\. Its columns are 'a', 'b'"):
        make({"a": ["x"], "b": ["y"]})
    with pytest.raises(TableError, match="there is no column 'doc'"):
        make(texts(), document="doc")
    with pytest.raises(TableError, match=r"the table has no rows\. Give it at least one"):
        make({"orig_text": [], "annotated_text": []})


def test_a_doubled_column_is_an_error() -> None:
    frame = pd.DataFrame([["a", "b", "c"]], columns=[*COLUMNS, "orig_text"])
    with pytest.raises(TableError, match="the column 'orig_text' is there 2 times"):
        Pairs.from_frame(frame)


def test_a_dataset_of_several_splits_is_an_error() -> None:
    dataset = FakeDataset(texts())
    dataset.column_names = {"train": list(COLUMNS)}
    with pytest.raises(TableError) as caught:
        Pairs.from_dataset(dataset)
    assert str(caught.value) == (
        "the dataset: found FakeDataset without a list of column names where one split of a "
        'dataset was expected. Name the split, such as dataset["train"].'
    )


def test_a_frame_of_pairs_can_be_read_again() -> None:
    pairs = [Pair("a", "b", 1, "d", 3), Pair("c", "d", 2), Pair("e", "f", 3, None, 4)]
    for some in (pairs, pairs[1:2]):
        renumbered = [replace(pair, row=row) for row, pair in enumerate(some, 1)]
        assert list(Pairs.from_frame(Pairs(some, name="t").to_frame())) == renumbered
