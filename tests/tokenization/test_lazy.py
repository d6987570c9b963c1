from __future__ import annotations

import pickle

from annoseq.tokenization.lazy import Later

MADE: list[int] = []


def make() -> int:
    MADE.append(1)
    return len(MADE)


def test_a_value_is_made_once_when_it_is_asked_for() -> None:
    MADE.clear()
    later = Later(make)
    assert MADE == []
    assert (later.value, later.value) == (1, 1)


def test_it_goes_to_another_process_made_or_not() -> None:
    MADE.clear()
    later = Later(make)
    again = pickle.loads(pickle.dumps(later))
    assert MADE == []
    assert (later.value, again.value) == (1, 2)
    assert pickle.loads(pickle.dumps(later)).value == 1


def test_a_known_value_is_never_made() -> None:
    later = Later.known("here")
    assert later.value == "here"
    assert pickle.loads(pickle.dumps(later)).value == "here"
