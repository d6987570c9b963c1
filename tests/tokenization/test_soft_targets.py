"""Soft targets: batches of them, and the file that keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.errors import OutputError
from annoseq.tokenization.soft_targets import (
    RowTargets,
    SoftTargets,
    read_row_targets,
    remove_row_targets,
    write_row_targets,
)

if TYPE_CHECKING:
    from pathlib import Path


def row_of(token: int, *, entries: int = 1) -> RowTargets:
    return RowTargets(
        np.array([[token, tag] for tag in range(entries)], np.int32).reshape(entries, 2),
        np.full(entries, 1 / max(entries, 1), np.float16),
        np.array([token], np.int32),
        np.array([2], np.float16),
        confidence=0.5,
    )


def test_rows_without_targets_have_no_weight() -> None:
    soft = SoftTargets.collate([row_of(3, entries=2), None, row_of(1)], [0.5, 0.5, 1.0])
    assert soft.weights.tolist() == [0.5, 0.0, 1.0]
    assert soft.places.tolist() == [[0, 3, 0], [0, 3, 1], [2, 1, 0]]
    assert soft.probabilities.tolist() == [0.5, 0.5, 1.0]
    assert soft.transitions.tolist() == [[0, 3], [2, 1]]


@pytest.mark.parametrize("rows", [slice(1, 3), slice(0, None, 2), slice(3, 4)])
def test_a_part_of_a_batch_is_that_of_its_rows(rows: slice) -> None:
    targets = [row_of(number, entries=number) for number in range(4)]
    weights = [0.1, 0.2, 0.3, 0.4]
    whole = SoftTargets.collate(targets, weights).select(rows)
    part = SoftTargets.collate(targets[rows], weights[rows])
    for name in SoftTargets.__slots__:
        assert getattr(whole, name).tolist() == getattr(part, name).tolist()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_file_keeps_rows_of_one_key(count: int, tmp_path: Path) -> None:
    path = tmp_path / "targets"
    rows = [row_of(number, entries=number) for number in range(count)]
    assert read_row_targets(path, key="a") is None
    write_row_targets(path, rows, key="a")
    assert read_row_targets(path, key="b") is None
    kept = read_row_targets(path, key="a")
    assert kept is not None
    assert len(kept) == count
    for row, again in zip(rows, kept, strict=True):
        assert [one.tolist() for one in again[:4]] == [one.tolist() for one in row[:4]]
        assert again.confidence == row.confidence


@pytest.mark.parametrize("length", [0, 10, 300])
def test_a_damaged_file_is_as_if_it_were_not_there(length: int, tmp_path: Path) -> None:
    path = tmp_path / "targets"
    write_row_targets(path, [row_of(1)], key="a")
    path.write_bytes(path.read_bytes()[:length])
    assert read_row_targets(path, key="a") is None


def test_no_flipped_bit_raises(tmp_path: Path) -> None:
    path = tmp_path / "targets"
    write_row_targets(path, [row_of(1)], key="a")
    whole = bytearray(path.read_bytes())
    for place in range(0, len(whole), 37):
        whole[place] ^= 1 << place % 8
        path.write_bytes(whole)
        assert read_row_targets(path, key="a") is None
        whole[place] ^= 1 << place % 8


def test_a_file_of_another_program_is_neither_replaced_nor_removed(tmp_path: Path) -> None:
    path = tmp_path / "targets"
    for _ in range(2):
        write_row_targets(path, [row_of(1)], key="a")
    remove_row_targets(path)
    remove_row_targets(path)
    assert not path.exists()
    path.write_text("my notes")
    remove_row_targets(path)
    with pytest.raises(OutputError, match="was not written by annoseq, or is damaged, and the"):
        write_row_targets(path, [row_of(1)], key="a")
    assert path.read_text() == "my notes"
