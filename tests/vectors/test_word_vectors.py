from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.vectors.lookup import open_vectors
from annoseq.vectors.word_vectors import report_neighbors

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def compass(tmp_path: Path) -> Path:
    path = tmp_path / "v.vec"
    path.write_text("5 2\nnorth 0 2\nnorthish 0.1 1\neast 3 0\nsouth 0 -1\nnowhere 0 0\n")
    return path


def test_neighbors_are_sorted_by_cosine(compass: Path) -> None:
    vectors = open_vectors(compass)
    among = ["east", "south", "northish", "north", "east", "absent"]
    [north] = report_neighbors(["north"], vectors, among=among, neighbors=2)
    assert (north.origin, north.norm, north.vector.tolist()) == ("seen", 2, [0, 2])
    assert [word for word, _ in north.neighbors] == ["northish", "east"]
    assert [cosine for _, cosine in north.neighbors] == pytest.approx([0.99504, 0], abs=1e-5)


def test_there_may_be_fewer_neighbors_than_requested(compass: Path) -> None:
    [north] = report_neighbors(
        ["north"], open_vectors(compass), among=["east", "north"], neighbors=9
    )
    assert north.neighbors == [("east", 0)]
    [alone] = report_neighbors(["north"], open_vectors(compass), among=[], neighbors=9)
    assert alone.neighbors == []
    [none] = report_neighbors(["north"], open_vectors(compass), among=["east"], neighbors=0)
    assert none.neighbors == []


def test_a_missing_word_has_no_neighbors(compass: Path) -> None:
    missing, twice = report_neighbors(
        ["x", "x"], open_vectors(compass), among=["east"], neighbors=1
    )
    assert (missing.origin, missing.norm, missing.neighbors) == ("missing", 0, [])
    assert twice.neighbors == []


def test_a_vector_of_zeros_is_near_to_nothing(compass: Path) -> None:
    [nowhere] = report_neighbors(["nowhere"], open_vectors(compass), among=["east"], neighbors=1)
    assert (nowhere.origin, nowhere.norm) == ("seen", 0)
    assert nowhere.neighbors == [("east", 0)]
