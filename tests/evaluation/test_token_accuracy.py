from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.evaluation.token_accuracy import Accuracy, Ratio, measure_accuracy
from annoseq.tokenization.vocabulary import END, PAD, UNKNOWN

A, B = 4, 5


def naive(output: list[list[int]], target: list[list[int]]) -> Accuracy:
    """Row by row and position by position, as one would by hand."""
    width = max(len(output[0]), len(target[0]))
    agreeing = right = wanted = exact = 0
    for written, reference in zip(output, target, strict=True):
        length = written.index(END) + 1 if END in written else len(written)
        ours = written[:length] + [PAD] * (width - length)
        theirs = reference + [PAD] * (width - len(reference))
        agreeing += sum(one == other for one, other in zip(ours, theirs, strict=True))
        wanted += sum(token != PAD for token in theirs)
        right += sum(one == other != PAD for one, other in zip(ours, theirs, strict=True))
        exact += ours == theirs and UNKNOWN not in theirs
    return Accuracy(
        Ratio(agreeing, width * len(target)), Ratio(right, wanted), Ratio(exact, len(target))
    )


@st.composite
def id_tables(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]]]:
    rows = draw(st.integers(1, 4))

    def table() -> list[list[int]]:
        row = st.lists(st.integers(0, 5), min_size=width, max_size=width)
        return draw(st.lists(row, min_size=rows, max_size=rows))

    width = draw(st.integers(1, 5))
    output = table()
    width = draw(st.integers(1, 5))
    return output, draw(st.sampled_from([table(), output]))


@settings(max_examples=300, deadline=None)
@given(tables=id_tables())
def test_it_is_the_naive_accuracy(tables: tuple[list[list[int]], list[list[int]]]) -> None:
    output, target = tables
    assert measure_accuracy(torch.tensor(output), torch.tensor(target)) == naive(output, target)


@pytest.mark.parametrize(
    ("output", "target", "padded", "token", "exact"),
    [
        ([[A, B, END]], [[A, B, END]], (3, 3), (3, 3), (1, 1)),
        ([[A, END]], [[A, B, END]], (1, 3), (1, 3), (0, 1)),  # too short
        ([[A, B, A, END]], [[A, END]], (1, 4), (1, 2), (0, 1)),  # too long
        ([[A, END, PAD, PAD]], [[A, END]], (4, 4), (2, 2), (1, 1)),  # wider, not longer
        ([[A, END]], [[A, END, PAD, PAD]], (4, 4), (2, 2), (1, 1)),
        ([[A, END, B, B]], [[A, END, PAD, PAD]], (4, 4), (2, 2), (1, 1)),  # blank after end
        ([[END, B, END]], [[A, B, END]], (0, 3), (0, 3), (0, 1)),
        ([[UNKNOWN, END]], [[UNKNOWN, END]], (2, 2), (2, 2), (0, 1)),  # unknown is never exact
        ([[PAD, PAD, PAD]], [[END, PAD, PAD]], (2, 3), (0, 1), (0, 1)),  # padding flatters
        ([[A, END], [B, B]], [[A, END], [B, END]], (3, 4), (3, 4), (1, 2)),
        ([[A, B]], [[A, B, END]], (2, 3), (2, 3), (0, 1)),  # never ended
    ],
)
def test_by_hand(
    output: list[list[int]],
    target: list[list[int]],
    padded: tuple[int, int],
    token: tuple[int, int],
    exact: tuple[int, int],
) -> None:
    expected = Accuracy(Ratio(*padded), Ratio(*token), Ratio(*exact))
    assert measure_accuracy(torch.tensor(output), torch.tensor(target)) == expected


def test_ratios_add_their_sums() -> None:
    assert Ratio(1, 2) + Ratio(3, 8) == Ratio(4, 10)
    assert (Ratio(1, 2) + Ratio(3, 8)).value == 0.4
    assert Ratio() + Ratio(1, 3) == Ratio(1, 3)


def test_the_share_of_nothing_is_zero() -> None:
    assert Ratio().value == 0
    assert Accuracy().values() == {
        "padded_accuracy": 0.0,
        "token_accuracy": 0.0,
        "exact_match": 0.0,
    }


def test_accuracies_add_each_to_its_own() -> None:
    one = Accuracy(Ratio(1, 4), Ratio(1, 2), Ratio(0, 1))
    other = Accuracy(Ratio(3, 6), Ratio(2, 2), Ratio(1, 1))
    assert one + other == Accuracy(Ratio(4, 10), Ratio(3, 4), Ratio(1, 2))
    assert (one + other).values() == {
        "padded_accuracy": 0.4,
        "token_accuracy": 0.75,
        "exact_match": 0.5,
    }
