from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.config import TaggerConfig
from annoseq.models.encoders import build_encoder
from tests.models.tiny import randomise

if TYPE_CHECKING:
    from annoseq.models.encoders import Encoder

WIDTH, HIDDEN = 12, 16
LENGTHS = torch.tensor([7, 1, 4])
KINDS = {
    "lstm": TaggerConfig(hidden=HIDDEN),
    "lstm, two layers": TaggerConfig(hidden=HIDDEN, layers=2),
    "convolution": TaggerConfig(encoder="convolution", hidden=HIDDEN),
    "transformer": TaggerConfig(encoder="transformer", hidden=HIDDEN),
}


@pytest.fixture(params=KINDS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    made = build_encoder(KINDS[request.param], width=WIDTH)
    randomise(made, spread=0.3)
    return made.eval()


def some_vectors(*, words: int = 10) -> torch.Tensor:
    return torch.randn(words, WIDTH, generator=torch.Generator().manual_seed(0))


def some_places() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(10, (3, 7), generator=generator)


def test_encodings_do_not_depend_on_the_batch(encoder: Encoder) -> None:
    vectors = some_vectors()[some_places()]
    for row, length in enumerate(LENGTHS.tolist()):
        vectors[row, length:] = 1e3  # padding
    read = encoder(vectors, LENGTHS)
    assert read.shape == (3, 7, 2 * HIDDEN)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = encoder(vectors[row : row + 1, :length], LENGTHS[row : row + 1])
        assert torch.allclose(read[row, :length], alone[0], atol=1e-5)


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1]], ids=["any order", "longest first"])
def test_encoding_projections_equals_forward(encoder: Encoder, order: list[int]) -> None:
    words, places = some_vectors(), some_places()[order]
    lengths = LENGTHS[order]
    read = encoder.encode_projected(encoder.project(words), places, lengths)
    expected = encoder(words[places], lengths)
    for row, length in enumerate(lengths.tolist()):
        assert torch.allclose(read[row, :length], expected[row, :length], atol=1e-5)


def test_every_encoding_depends_on_both_neighbours(encoder: Encoder) -> None:
    vectors = some_vectors()[some_places()]
    read = encoder(vectors, LENGTHS)
    vectors[0, 3] += 1.0
    changed = (encoder(vectors, LENGTHS) - read).abs().amax(2)
    assert (changed[0, 2:5] > 1e-6).all()
    assert not changed[1:].any()


def test_variational_dropout_is_the_same_for_all_tokens_of_a_row() -> None:
    encoder = build_encoder(TaggerConfig(hidden=HIDDEN, dropout=0.5), width=WIDTH)
    vectors = some_vectors()[some_places()]
    assert torch.equal(encoder.eval()(vectors, LENGTHS), encoder(vectors, LENGTHS))
    torch.manual_seed(0)
    read = encoder.train()(vectors, torch.full((3,), 7))
    dropped = read == 0
    assert 0.3 < dropped.float().mean() < 0.7
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert not torch.equal(dropped[0, 0], dropped[1, 0])
