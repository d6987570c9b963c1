from __future__ import annotations

import pytest
import torch

from annoseq.models.padding import active_rows, reversed_tokens, select_tokens, token_mask

ROWS = torch.tensor([[1, 2, 3], [4, 5, 0], [6, 0, 0]])
LENGTHS = torch.tensor([3, 2, 1])


def test_the_mask_is_true_for_tokens() -> None:
    assert torch.equal(token_mask(ROWS, LENGTHS), ROWS > 0)


@pytest.mark.parametrize(
    ("lengths", "counts"), [([3, 2, 1], [3, 2, 1]), ([1, 3, 2], [3, 3, 2]), ([2, 2], [2, 2, 0])]
)
def test_active_rows_reach_to_the_last_with_a_token(lengths: list[int], counts: list[int]) -> None:
    assert active_rows(torch.tensor(lengths), 3) == counts


def test_rows_are_reversed_within_their_length() -> None:
    places = reversed_tokens(ROWS, LENGTHS)
    reversed_rows = select_tokens(ROWS.unsqueeze(2), places).squeeze(2)
    expected = torch.tensor([[3, 2, 1], [5, 4, 0], [6, 0, 0]])
    assert torch.equal(reversed_rows.where(ROWS > 0, 0), expected)
    assert torch.equal(places[0], torch.tensor([2, 1, 0]))
