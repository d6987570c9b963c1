"""The biaffine decoder in numpy against the head in torch, which is tested by brute force."""

from __future__ import annotations

import pytest
import torch

from annoseq.models.biaffine import BiaffineHead
from annoseq.models.biaffine_decoder import BiaffineDecoder
from tests.models.tiny import randomise

WIDTH = 6
LENGTHS = torch.tensor([20, 13, 7, 1, 1])


def random_head(*, levels: int, seed: int) -> BiaffineHead:
    head = BiaffineHead(WIDTH, labels=3, levels=levels, self_nested=[0])
    randomise(head, spread=0.3, seed=seed)
    return head.eval()


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_spans_and_scores_are_those_of_torch(levels: int, seed: int) -> None:
    head = random_head(levels=levels, seed=seed)
    encoded = torch.randn(5, 20, WIDTH, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        scores = head.scores(encoded).numpy()
    decoder, lengths = BiaffineDecoder(levels, head.nests.numpy()), LENGTHS.numpy()
    for ours, theirs in (
        (decoder.decode(scores, lengths), head.decode(encoded, LENGTHS)),
        (
            decoder.candidates(scores, lengths, floor=0.01, longest=6),
            head.candidates(encoded, LENGTHS, floor=0.01, longest=6),
        ),
    ):
        assert len(ours.spans) > 10
        assert ours.spans.tolist() == theirs.spans.tolist()
        assert ours.log_probs.tolist() == pytest.approx(theirs.log_probs.tolist(), abs=1e-4)
        assert ours.row_log_probs.tolist() == pytest.approx(theirs.row_log_probs.tolist(), abs=1e-3)
    expected = head.coverage(encoded, LENGTHS, floor=0.01)
    best, tokens = decoder.coverage(scores, lengths, floor=0.01)
    assert best.spans.tolist() == expected.best.spans.tolist()
    assert tokens.spans.tolist() == expected.tokens.tolist()
    assert tokens.log_probs.tolist() == pytest.approx(expected.log_probs.tolist(), abs=1e-4)
