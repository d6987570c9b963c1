"""Biaffine head against brute force over all sets of spans."""

from __future__ import annotations

from itertools import combinations
from math import exp, log
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.models import biaffine, biaffine_decoder
from annoseq.models.biaffine import BiaffineHead
from annoseq.tokenization.bioes import spans_to_bioes
from annoseq.tokenization.linearize import AlignedSpan
from tests.models.tiny import LABELS, randomise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from annoseq.models.span_decoder import SpanArrays

WIDTH = 6
LENGTHS = torch.tensor([5, 1, 3])


def random_finder(*, levels: int = 3, spread: float = 0.1) -> BiaffineHead:
    head = BiaffineHead(WIDTH, labels=2, levels=levels, self_nested=[0])
    randomise(head, spread=spread)
    return head.eval()


def random_encoding(*, rows: int = 3, tokens: int = 5, seed: int = 1) -> torch.Tensor:
    return torch.randn(rows, tokens, WIDTH, generator=torch.Generator().manual_seed(seed))


def scores_of(head: BiaffineHead, encoded: torch.Tensor) -> NDArray[np.float32]:
    return head.scores(encoded).numpy(force=True)


def decode(head: BiaffineHead, encoded: torch.Tensor, lengths: torch.Tensor) -> SpanArrays:
    return head.decoder.decode(scores_of(head, encoded), lengths.numpy())


def candidates(
    head: BiaffineHead, encoded: torch.Tensor, lengths: torch.Tensor, *, floor: float, longest: int
) -> SpanArrays:
    scores = scores_of(head, encoded)
    return head.decoder.candidates(scores, lengths.numpy(), floor=floor, longest=longest)


def test_the_loss_is_the_sum_over_pairs_of_tokens() -> None:
    head, encoded = random_finder(), random_encoding(rows=1)
    aligned_spans = [AlignedSpan(0, 4, "A"), AlignedSpan(0, 2, "A"), AlignedSpan(3, 4, "B")]
    tags = spans_to_bioes(aligned_spans, tokens=5, levels=3, labels=LABELS, self_nested="A")
    loss = head.loss(encoded, torch.tensor([tags]), torch.tensor([5]))
    likely = candidates(head, encoded, torch.tensor([5]), floor=1e-30, longest=5)
    scores = dict(zip(map(tuple, likely.spans.tolist()), likely.log_probs.tolist(), strict=True))
    expected = 0.0
    for first in range(5):
        for last in range(first, 5):
            named = [one for one in aligned_spans if (one.first, one.last - 1) == (first, last)]
            chances = [scores[0, first, last, label] for label in (0, 1)]
            nothing = log(1 - sum(map(exp, chances)))
            expected += chances[LABELS[named[0].label]] if named else nothing
    assert -loss.item() == pytest.approx(expected, rel=1e-3)


def test_of_two_spans_of_the_same_tokens_the_outer_one_is_learned() -> None:
    head, encoded = random_finder(), random_encoding(rows=1)
    length = torch.tensor([5])

    def loss(*aligned_spans: AlignedSpan) -> float:
        tags = spans_to_bioes(aligned_spans, tokens=5, levels=3, labels=LABELS, self_nested="A")
        return head.loss(encoded, torch.tensor([tags]), length).item()

    assert loss(AlignedSpan(1, 3, "B"), AlignedSpan(1, 3, "A")) == loss(AlignedSpan(1, 3, "B"))


def test_decoded_spans_have_the_likelihood_of_their_loss() -> None:
    head, encoded = random_finder(spread=2.0), random_encoding(tokens=12)
    lengths = torch.tensor([12, 1, 9])
    found = decode(head, encoded, lengths)
    assert len(found.spans) > 6
    tags = []
    for row in range(3):
        aligned_spans = [
            AlignedSpan(first, last + 1, "AB"[label])
            for at, first, last, label in found.spans.tolist()
            if at == row
        ]
        aligned_spans.sort(key=lambda one: (one.first, -one.last))
        tags.append(
            spans_to_bioes(aligned_spans, tokens=12, levels=3, labels=LABELS, self_nested="A")
        )
    loss = head.loss(encoded, torch.tensor(tags), lengths)
    assert np.allclose(-loss.numpy(force=True), found.row_log_probs, rtol=1e-4)
    assert (found.log_probs >= log(0.25)).all()
    assert found.spans[:, 0].tolist() == sorted(found.spans[:, 0].tolist())


def test_chunks_have_the_same_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head, encoded = random_finder(), random_encoding().requires_grad_()
    tags = torch.tensor([[[1], [5], [0], [7], [0]], [[0]] * 5, [[7], [0], [8], [0], [0]]])
    whole = head.loss(encoded, tags, LENGTHS)
    (gradient,) = torch.autograd.grad(whole.sum(), encoded)
    monkeypatch.setattr(biaffine, "_SCORES_PER_CHUNK", 1)
    assert len(list(head.chunks(encoded))) == 3
    cut = head.loss(encoded, tags, LENGTHS)
    assert torch.allclose(cut, whole)
    assert torch.allclose(torch.autograd.grad(cut.sum(), encoded)[0], gradient, atol=1e-5)


def test_candidates_are_all_short_spans_above_the_floor() -> None:
    head, encoded = random_finder(), random_encoding()
    every = candidates(head, encoded, LENGTHS, floor=1e-30, longest=5)
    assert len(every.spans) == 2 * (15 + 1 + 6)
    for floor, longest in ((0.1, 5), (0.5, 2), (1e-30, 1)):
        some = candidates(head, encoded, LENGTHS, floor=floor, longest=longest)
        spans = every.spans[:, 2] - every.spans[:, 1] + 1
        chosen = (every.log_probs >= log(floor)) & (spans <= longest)
        assert np.array_equal(some.spans, every.spans[chosen])
        again = decode(head, encoded, LENGTHS)
        assert np.array_equal(some.row_log_probs, again.row_log_probs)


@settings(max_examples=60, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 5), st.integers(0, 1)),
        max_size=12,
    ),
    levels=st.integers(1, 3),
)
def test_selection_of_well_nested_spans_is_greedy(
    drawn: list[tuple[int, int, int, int]], levels: int
) -> None:
    """As a reader would: the likeliest first, and every rule looked up in what is taken."""
    spans = [(row, min(a, b), max(a, b), label) for row, a, b, label in drawn]
    scores = [-0.1 * place for place in range(len(spans))]
    taken: list[tuple[int, int, int, int]] = []
    for span in spans:
        if _stands(span, taken, levels=levels):
            taken.append(span)
    places = np.array(spans, np.int64).reshape(-1, 4)
    kept = biaffine_decoder._select_well_nested(
        places, np.array(scores), nests=np.array([True, False]), levels=levels
    )
    assert {spans[number] for number in kept.tolist()} == set(taken)
    assert kept.tolist() == sorted(kept.tolist())


def _stands(
    span: tuple[int, int, int, int], taken: list[tuple[int, int, int, int]], *, levels: int
) -> bool:
    row, first, last, label = span
    others = [one for one in taken if one[0] == row]
    for _, begin, end, other in others:
        if last < begin or end < first:
            continue
        inside, outside = begin <= first and last <= end, first <= begin and end <= last
        if inside == outside or (label == other == 1):
            return False
    return _deepest([*others, span]) <= levels


def _deepest(spans: list[tuple[int, int, int, int]]) -> int:
    return max(
        (
            size
            for size in range(1, len(spans) + 1)
            for some in combinations(spans, size)
            if all(
                (a[1] <= b[1] and b[2] <= a[2]) or (b[1] <= a[1] and a[2] <= b[2])
                for a, b in combinations(some, 2)
            )
        ),
        default=0,
    )


def test_a_token_is_covered_unless_no_pair_around_it_is_a_span() -> None:
    head, encoded = random_finder(), random_encoding()
    best, covered = head.decoder.coverage(scores_of(head, encoded), LENGTHS.numpy(), floor=1e-6)
    every = candidates(head, encoded, LENGTHS, floor=1e-30, longest=5)
    pairs: dict[tuple[int, int, int], float] = {}
    for (row, first, last, _), log_prob in zip(
        every.spans.tolist(), every.log_probs.tolist(), strict=True
    ):
        pairs[row, first, last] = pairs.get((row, first, last), 0.0) + exp(log_prob)
    tokens = zip(covered.spans.tolist(), np.exp(covered.log_probs).tolist(), strict=True)
    expected = {}
    for row, length in enumerate(LENGTHS.tolist()):
        for token in range(length):
            outside = 1.0
            for (of_row, first, last), share in pairs.items():
                if of_row == row and first <= token <= last:
                    outside *= 1 - share
            expected[row, token] = 1 - outside
    assert {(row, token): share for (row, token, _, _), share in tokens} == pytest.approx(
        expected, abs=1e-5
    )
    assert np.array_equal(best.spans, decode(head, encoded, LENGTHS).spans)
