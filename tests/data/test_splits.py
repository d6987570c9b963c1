from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.pairs import Pair
from annoseq.data.splits import group_rows, split_rows
from annoseq.errors import OptionError, PairsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from annoseq.data.splits import SplitBy

shares = st.floats(0.001, 0.999)
documents = st.lists(st.none() | st.sampled_from("abcdefg"), min_size=2, max_size=40)


def pairs_of(documents: Iterable[str | None]) -> list[Pair]:
    return [Pair("s", "t", row, document) for row, document in enumerate(documents, 1)]


ROWS = pairs_of([None] * 20)
DOCUMENTS = pairs_of("aabbbccccddéé😀fg")


@pytest.mark.parametrize(
    ("pairs", "share", "by", "seed", "expected"),
    [
        (ROWS, 0.25, "auto", 42, [0, 1, 6, 11, 13]),
        (ROWS, 0.25, "row", 7, [3, 4, 7, 8, 12]),
        (DOCUMENTS, 0.3, "document", 42, [0, 1, 11, 12, 14]),
        (DOCUMENTS, 0.3, "auto", 1, [9, 10, 11, 12, 15]),
    ],
)
def test_the_split_is_the_same_everywhere(
    pairs: list[Pair], share: float, by: SplitBy, seed: int, expected: list[int]
) -> None:
    train, valid = split_rows(pairs, share=share, by=by, seed=seed)
    assert valid == expected
    assert train == [row for row in range(len(pairs)) if row not in expected]


@settings(deadline=None)
@given(documents, shares, st.sampled_from(["auto", "row"]), st.integers())
def test_every_row_is_in_one_part(
    names: list[str | None], share: float, by: SplitBy, seed: int
) -> None:
    train, valid = split_rows(pairs_of(names), share=share, by=by, seed=seed)
    assert train
    assert valid
    assert train == sorted(train)
    assert valid == sorted(valid)
    assert sorted(train + valid) == list(range(len(names)))


@settings(deadline=None)
@given(documents, shares, st.integers())
def test_no_document_is_in_both_parts(names: list[str | None], share: float, seed: int) -> None:
    pairs = pairs_of(names)
    if len({name for name in names if name is not None}) < 2:
        return
    train, valid = split_rows(pairs, share=share, by="auto", seed=seed)
    assert (train, valid) == split_rows(pairs, share=share, by="document", seed=seed)
    assert not {names[i] for i in train} & {names[i] for i in valid} - {None}


@settings(deadline=None)
@given(st.integers(2, 200), shares, st.integers())
def test_by_row_the_share_is_met(rows: int, share: float, seed: int) -> None:
    _, valid = split_rows(pairs_of([None] * rows), share=share, by="row", seed=seed)
    assert abs(len(valid) - min(max(share * rows, 1), rows - 1)) <= 0.5 + 1e-9


def test_a_document_is_taken_only_if_that_brings_the_share_nearer() -> None:
    pairs = pairs_of(["big"] * 90 + ["small"] * 6 + ["tiny"] * 4)
    for seed in range(20):
        _, valid = split_rows(pairs, share=0.1, by="document", seed=seed)
        assert len(valid) in {4, 6, 10}


def test_the_smallest_document_is_taken_if_all_are_too_large() -> None:
    pairs = pairs_of("aaaabbbbbccc")
    for seed in range(20):
        assert split_rows(pairs, share=0.01, by="document", seed=seed)[1] == [9, 10, 11]


def test_rows_with_an_empty_document_stand_alone() -> None:
    names = ["a", "", "", "b", ""]
    for seed in range(20):
        split = split_rows(pairs_of(names), share=0.2, by="document", seed=seed)
        assert len(split[1]) == 1
    assert group_rows(pairs_of(names), by="auto") == {"a": [0], 1: [1], 2: [2], "b": [3], 4: [4]}


def test_one_document_is_split_by_row_unless_asked() -> None:
    pairs = pairs_of(["a"] * 20)
    auto = split_rows(pairs, share=0.25, by="auto", seed=42)
    assert auto == split_rows(ROWS, share=0.25, by="row", seed=42)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, math.nan])
def test_a_share_must_be_a_share(share: float) -> None:
    with pytest.raises(OptionError) as caught:
        split_rows(ROWS, share=share, by="row", seed=0)
    assert str(caught.value) == (
        f"the validation share is {share}. Give a number between 0 and 1, such as 0.1."
    )


@pytest.mark.parametrize(
    ("names", "by", "message"),
    [
        (
            ["a"],
            "row",
            "a split needs at least 2 rows, and the pairs have 1. "
            "Add rows, or give validation pairs with --valid.",
        ),
        (
            [None, None],
            "document",
            "the pairs have no documents to split by. "
            "Name the column that holds them with --document, or split by row (--split-by row).",
        ),
        (
            ["a", "a"],
            "document",
            "all rows are of one document, so that a split by document leaves one part empty. "
            "Add documents, split by row (--split-by row), or give validation pairs with --valid.",
        ),
    ],
)
def test_what_cannot_be_split(names: list[str | None], by: SplitBy, message: str) -> None:
    with pytest.raises(PairsError) as caught:
        split_rows(pairs_of(names), share=0.5, by=by, seed=0)
    assert str(caught.value) == message
