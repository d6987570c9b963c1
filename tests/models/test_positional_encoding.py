from __future__ import annotations

import torch

from annoseq.models.positional_encoding import SINUSOIDS, position_increments, sinusoidal_encoding
from annoseq.tokenization.vocabulary import BEGIN, END, PAD


def test_sinusoidal_encodings_of_near_positions_are_similar() -> None:
    turned = sinusoidal_encoding(torch.arange(150))
    assert turned.shape == (150, 2 * SINUSOIDS)
    products = turned @ turned.T
    torch.testing.assert_close(products.diagonal(), torch.ones(150))
    torch.testing.assert_close(products[0, 1], torch.tensor(0.60), atol=0.01, rtol=0)
    apart = products.masked_fill(torch.eye(150, dtype=torch.bool), -1)
    assert apart.max() < 0.7
    # However far along they are.
    torch.testing.assert_close(
        sinusoidal_encoding(torch.arange(5_000, 5_150)) @ sinusoidal_encoding(torch.tensor(5_000)),
        products[0],
        atol=1e-3,
        rtol=0,
    )


def test_tags_and_special_symbols_do_not_advance() -> None:
    far = position_increments(9, [5, 7])
    assert [id_ for id_ in range(9) if not far[id_]] == sorted([PAD, BEGIN, END, 5, 7])
