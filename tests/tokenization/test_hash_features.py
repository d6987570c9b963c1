from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.tokenization import hash_features as features_module
from annoseq.tokenization.hash_features import (
    FEATURE_KINDS,
    PRIVACY_NOTE,
    FeatureHasher,
    table_sizes,
    token_features,
)

if TYPE_CHECKING:
    import pytest


def ids_of(words: FeatureHasher, token: str, *marks: str) -> list[list[int]]:
    bags = words.bags(words.token_ids([token], {0: marks} if marks else {}))
    return [ids.tolist() for ids in bags.ids]


def test_features_have_the_same_places_on_every_machine() -> None:
    """Models that were saved depend on every one of these numbers."""
    assert ids_of(FeatureHasher(buckets=4096), " Ames", "list x single") == [
        [1418, 1979],
        [
            *(3288, 2865, 1609, 1543, 2364, 589, 1212, 2018, 44),
            *(274, 3466, 1979, 598, 590, 1678, 2220, 2431, 3324),
        ],
        [891, 89, 792, 276, 216, 817, 188, 994, 44, 274, 598, 590, 654, 172, 383, 252],
        [199, 207, 244, 112, 117, 103, 35, 127],
        [117, 239],
    ]


def test_the_features_of_a_word() -> None:
    form, grams, affixes, shape, marks = token_features(" Ab1", ("m",))
    assert form == ["ab1"]
    assert grams == ["<ab", "ab1", "b1>", "<ab1", "ab1>", "<ab1>"]
    assert affixes == ["<a", "1>", "<ab", "b1>", "<ab1", "ab1>", "<ab1", "ab1>"]
    assert shape == ["shape Xxd", "kinds Xxd", "length 3", "spaced True"]
    assert marks == ["m"]
    assert list(token_features(" ", ()))[3] == ["shape  ", "kinds  ", "length 1", "spaced False"]
    assert list(token_features("A" * 40, ()))[3][:3] == ["shape XXXXXXXXXX", "kinds X", "length 12"]


@settings(max_examples=40, deadline=None)
@given(token=st.text(min_size=1, max_size=8) | st.sampled_from(["\ud800", "\x00", "ß", "İ"]))
def test_every_token_has_features_that_fit_their_tables(token: str) -> None:
    words = FeatureHasher(buckets=1024)
    for ids, size in zip(ids_of(words, token), table_sizes(1024), strict=True):
        assert all(0 <= one < size for one in ids)
        assert len(ids) % 2 == 0
    assert ids_of(words, token) == ids_of(FeatureHasher(buckets=1024), token)


def test_a_token_has_one_number_and_one_more_with_marks() -> None:
    words = FeatureHasher(buckets=1024)
    assert words.token_ids(["a", "b", "a"]) == [0, 1, 0]
    assert words.token_ids(["b", "b", "c"], {1: ("m",)}) == [1, 2, 3]
    assert words.token_ids(["b"], {0: ("m",)}) == [2]
    assert len(words) == 4


def test_bags_tell_where_the_features_of_each_token_begin() -> None:
    words = FeatureHasher(buckets=1024)
    one, other = words.token_ids(["a", "long"])
    apart, both = [words.bags([number]) for number in (other, one)], words.bags([other, one])
    for kind in range(FEATURE_KINDS):
        assert np.array_equal(both.ids[kind], np.concatenate([bags.ids[kind] for bags in apart]))
        assert both.starts[kind].tolist() == [0, len(apart[0].ids[kind])]


def test_room_is_made_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features_module, "_MAX_TOKENS", 2)
    words = FeatureHasher(buckets=1024)
    words.token_ids(["a", "b"])
    words.clear_if_large()
    assert (len(words), words.generation) == (2, 0)
    words.token_ids(["c"])
    words.clear_if_large()
    assert (len(words), words.generation) == (0, 1)
    assert words.token_ids(["c"]) == [0]


def test_the_docstring_states_what_can_be_inferred() -> None:
    assert PRIVACY_NOTE in " ".join((features_module.__doc__ or "").split())
