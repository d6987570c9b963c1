from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.vectors.lookup import open_vectors
from annoseq.vectors.nearest_neighbors import portray

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def compass(tmp_path: Path) -> Path:
    path = tmp_path / "v.vec"
    path.write_text("5 2\nnorth 0 2\nnorthish 0.1 1\neast 3 0\nsouth 0 -1\nnowhere 0 0\n")
    return path


def test_the_nearest_come_first_whatever_their_length(compass: Path) -> None:
    vectors = open_vectors(compass)
    among = ["east", "south", "northish", "north", "east", "absent"]
    [north] = portray(["north"], vectors, among=among, neighbours=2)
    assert (north.known, north.norm, north.vector.tolist()) == ("seen", 2, [0, 2])
    assert [word for word, _ in north.neighbours] == ["northish", "east"]
    assert [cosine for _, cosine in north.neighbours] == pytest.approx([0.99504, 0], abs=1e-5)


def test_there_may_be_fewer_neighbours_than_asked_for(compass: Path) -> None:
    [north] = portray(["north"], open_vectors(compass), among=["east", "north"], neighbours=9)
    assert north.neighbours == [("east", 0)]
    [alone] = portray(["north"], open_vectors(compass), among=[], neighbours=9)
    assert alone.neighbours == []
    [none] = portray(["north"], open_vectors(compass), among=["east"], neighbours=0)
    assert none.neighbours == []


def test_a_missing_word_has_no_neighbours(compass: Path) -> None:
    missing, twice = portray(["x", "x"], open_vectors(compass), among=["east"], neighbours=1)
    assert (missing.known, missing.norm, missing.neighbours) == ("missing", 0, [])
    assert twice.neighbours == []


def test_a_vector_of_zeros_is_near_to_nothing(compass: Path) -> None:
    [nowhere] = portray(["nowhere"], open_vectors(compass), among=["east"], neighbours=1)
    assert (nowhere.known, nowhere.norm) == ("seen", 0)
    assert nowhere.neighbours == [("east", 0)]
