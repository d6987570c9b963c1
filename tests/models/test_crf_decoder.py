"""The CRF decoder at the border: grouping by row, scores that have overflown, the torch loss.

Its results are tested by brute force in `test_crf` and `test_span_marginals`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from annoseq.models.tagger import CrfHead
from tests.models.tiny import randomise

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 6
LENGTHS = torch.tensor([40, 33, 7, 1, 1])


def random_head(labels: int, *, seed: int = 0, spread: float = 1.0) -> CrfHead:
    head = CrfHead(WIDTH, labels=labels)
    randomise(head, spread=spread, seed=seed)
    return head.eval()


def encoding(seed: int = 1) -> torch.Tensor:
    return torch.randn(5, 40, WIDTH, generator=torch.Generator().manual_seed(seed))


def emissions_of(head: CrfHead, encoded: torch.Tensor) -> NDArray[np.float32]:
    return head.scores(encoded).detach().numpy()


@pytest.mark.parametrize("labels", [0, 1, 2, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_likelihood_of_a_row_is_that_of_the_loss(labels: int, seed: int) -> None:
    head, encoded = random_head(labels, seed=seed), encoding(seed)
    emissions, lengths = emissions_of(head, encoded), LENGTHS.numpy()
    found = head.decoder.decode(emissions, lengths)
    assert len(found.spans) >= 5 * labels
    tags = head.decoder.viterbi(emissions, lengths)
    loss = head.loss(encoded, torch.from_numpy(tags)[..., None], LENGTHS)
    assert found.row_log_probs.tolist() == pytest.approx((-loss).tolist(), abs=1e-2)


def test_spans_are_grouped_by_row_in_opening_order() -> None:
    head, encoded = random_head(2), encoding()
    rows = head.decoder.decode(emissions_of(head, encoded), LENGTHS.numpy()).by_row()
    assert len(rows) == len(LENGTHS)
    for row, length in zip(rows, LENGTHS.tolist(), strict=True):
        firsts = [span.first for span in row.spans]
        assert firsts == sorted(firsts)
        assert all(span.last <= length for span in row.spans)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
def test_emissions_that_have_overflown_still_give_whole_spans(value: float) -> None:
    head, encoded = random_head(2, spread=3.0), encoding()
    emissions = emissions_of(head, encoded).copy()
    emissions.reshape(-1)[::3] = value
    decoder = head.decoder
    best, tokens = decoder.coverage(emissions, LENGTHS.numpy(), floor=0.01)
    assert np.isfinite(best.log_probs).all()
    assert (best.row_log_probs <= 0).all()
    assert (best.spans[:, 1] <= best.spans[:, 2]).all()
    assert (tokens.log_probs <= 0).all()
