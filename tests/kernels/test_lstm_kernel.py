"""The LSTM kernel against the steps in torch, and what a row owes to the rows around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from annoseq.kernels.selection import compiled_kernels
from annoseq.models.encoders import BiLstmEncoder
from tests.models.tiny import randomise

pytest.importorskip("numba", reason="needs numba: pip install 'annoseq[fast]'")

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORDS = 40
ROWS = [[9, 7, 7, 3, 1], [3, 9, 1, 5], [*range(60, 0, -1)], [1], [5, 0, 2]]


def random_encoder(hidden: int) -> BiLstmEncoder:
    encoder = BiLstmEncoder(width=12, hidden=hidden, layers=1, dropout=0.2).eval()
    randomise(encoder, spread=0.7)
    return encoder


def encode(
    encoder: BiLstmEncoder,
    places: torch.Tensor,
    lengths: list[int],
    *,
    is_compiled: bool,
    output: nn.Linear | None = None,
) -> NDArray[np.float32]:
    projected = encoder.project(torch.randn(WORDS, 12, generator=torch.Generator().manual_seed(0)))
    with compiled_kernels(texts=0, tokens=10**9 if is_compiled else 0):
        sizes = torch.tensor(lengths)
        encoded = encoder.encode_projected(projected, places, sizes)
        if output is not None:
            scores = encoder.score_projected(projected, places, sizes, output)
            assert (scores is not None) == is_compiled
            encoded = output(encoded) if scores is None else scores
    is_token = torch.arange(places.shape[1]) < sizes.unsqueeze(1)
    found: NDArray[np.float32] = (encoded.detach() * is_token.unsqueeze(2)).numpy()
    return found


def random_places(lengths: list[int]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(len(lengths))
    return torch.randint(0, WORDS, (len(lengths), max(lengths)), generator=generator)


@pytest.mark.parametrize("lengths", ROWS)
@pytest.mark.parametrize("hidden", [8, 24])
def test_outputs_are_those_of_the_steps_in_torch(lengths: list[int], hidden: int) -> None:
    encoder, places = random_encoder(hidden), random_places(lengths)
    expected = encode(encoder, places, lengths, is_compiled=False)
    assert np.abs(encode(encoder, places, lengths, is_compiled=True) - expected).max() < 5e-6


@pytest.mark.parametrize("columns", [1, 32, 70])
def test_a_layer_after_the_lstm_is_computed_in_the_same_pass(columns: int) -> None:
    encoder, output = random_encoder(16), nn.Linear(32, columns)
    places = random_places(ROWS[2])
    expected, found = (
        encode(encoder, places, ROWS[2], is_compiled=is_compiled, output=output)
        for is_compiled in (False, True)
    )
    assert np.abs(found - expected).max() < 1e-5


def test_a_row_is_the_same_to_the_last_digit_in_any_batch() -> None:
    encoder, lengths = random_encoder(16), [30, 29, 28, 2]
    places = random_places(lengths)
    together = encode(encoder, places, lengths, is_compiled=True)
    for row, length in enumerate(lengths):
        alone = encode(encoder, places[[row]], [length], is_compiled=True)
        assert np.array_equal(alone[0], together[row])


def test_a_width_that_fills_no_vector_is_left_to_torch() -> None:
    encoder = random_encoder(12)
    places, lengths = random_places([4]), [4]
    expected = encode(encoder, places, lengths, is_compiled=False)
    assert np.array_equal(encode(encoder, places, lengths, is_compiled=True), expected)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -1e38])
def test_weights_that_have_overflown_give_bounded_outputs(value: float) -> None:
    encoder = random_encoder(16)
    with torch.no_grad():
        for weights in encoder.parameters():
            weights.flatten()[::3] = value
    found = encode(encoder, random_places([5, 2]), [5, 2], is_compiled=True)
    assert np.abs(found).max() <= 1
