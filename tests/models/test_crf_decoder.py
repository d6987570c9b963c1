"""The CRF decoder in numpy against the CRF in torch, which is tested by brute force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from annoseq.models import crf_decoder
from annoseq.models.crf_decoder import CrfDecoder
from annoseq.models.tagger import CrfHead
from tests.models.tiny import randomise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from annoseq.models.span_decoder import SpanArrays

WIDTH = 6
LENGTHS = torch.tensor([40, 33, 7, 1, 1])


def random_head(labels: int, *, seed: int = 0, spread: float = 1.0) -> CrfHead:
    head = CrfHead(WIDTH, labels=labels)
    randomise(head, spread=spread, seed=seed)
    return head.eval()


def decoder_of(head: CrfHead) -> CrfDecoder:
    return CrfDecoder(
        head.crf.span_transitions.detach().numpy(), head.crf.inner_transitions.detach().numpy()
    )


def encoding(seed: int = 1) -> torch.Tensor:
    return torch.randn(5, 40, WIDTH, generator=torch.Generator().manual_seed(seed))


def emissions_of(head: CrfHead, encoded: torch.Tensor) -> NDArray[np.float32]:
    return head.scores(encoded).detach().numpy()


def check_equal(ours: SpanArrays, theirs: tuple[torch.Tensor, ...]) -> None:
    places = [tuple(span) for span in ours.spans.tolist()]
    expected = dict(zip(map(tuple, theirs[0].tolist()), theirs[1].tolist(), strict=True))
    assert sorted(places) == sorted(expected)
    found = dict(zip(places, ours.log_probs.tolist(), strict=True))
    assert found == pytest.approx(expected, abs=1e-4)
    assert ours.row_log_probs.tolist() == pytest.approx(theirs[2].tolist(), abs=1e-3)


@pytest.mark.parametrize("labels", [0, 1, 2, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_spans_and_scores_are_those_of_torch(labels: int, seed: int) -> None:
    head, encoded = random_head(labels, seed=seed), encoding(seed)
    decoder, emissions = decoder_of(head), emissions_of(head, encoded)
    lengths = LENGTHS.numpy()
    best = decoder.decode(emissions, lengths)
    assert len(best.spans) >= 5 * labels
    check_equal(best, head.decode(encoded, LENGTHS))
    check_equal(
        decoder.candidates(emissions, lengths, floor=0.01, longest=6),
        head.candidates(encoded, LENGTHS, floor=0.01, longest=6),
    )
    expected = head.coverage(encoded, LENGTHS, floor=0.01)
    again, tokens = decoder.coverage(emissions, lengths, floor=0.01)
    check_equal(again, expected.best)
    assert tokens.spans.tolist() == expected.tokens.tolist()
    assert tokens.log_probs.tolist() == pytest.approx(expected.log_probs.tolist(), abs=1e-4)


def test_spans_are_grouped_by_row_in_opening_order() -> None:
    head, encoded = random_head(2), encoding()
    rows = decoder_of(head).decode(emissions_of(head, encoded), LENGTHS.numpy()).by_row()
    assert len(rows) == len(LENGTHS)
    for row, length in zip(rows, LENGTHS.tolist(), strict=True):
        firsts = [span.first for span in row.spans]
        assert firsts == sorted(firsts)
        assert all(span.last <= length for span in row.spans)


def test_chunks_give_the_same_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    head, encoded = random_head(2), encoding()
    decoder, emissions, lengths = decoder_of(head), emissions_of(head, encoded), LENGTHS.numpy()
    whole = decoder.candidates(emissions, lengths, floor=0.01, longest=9)
    monkeypatch.setattr(crf_decoder, "_PAIRS_PER_CHUNK", 3)
    cut = decoder.candidates(emissions, lengths, floor=0.01, longest=9)
    assert cut.spans.tolist() == whole.spans.tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
def test_emissions_that_have_overflown_still_give_whole_spans(value: float) -> None:
    head, encoded = random_head(2, spread=3.0), encoding()
    emissions = emissions_of(head, encoded).copy()
    emissions.reshape(-1)[::3] = value
    decoder = decoder_of(head)
    best, tokens = decoder.coverage(emissions, LENGTHS.numpy(), floor=0.01)
    assert np.isfinite(best.log_probs).all()
    assert (best.row_log_probs <= 0).all()
    assert (best.spans[:, 1] <= best.spans[:, 2]).all()
    assert (tokens.log_probs <= 0).all()
