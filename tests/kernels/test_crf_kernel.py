"""The CRF kernel against the decoder in numpy, which is tested by brute force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.kernels.selection import compiled_kernels
from annoseq.models.crf_decoder import CrfDecoder

pytest.importorskip("numba", reason="needs numba: pip install 'annoseq[fast]'")

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from annoseq.models.span_decoder import SpanArrays

LENGTHS = np.array([40, 33, 7, 1, 1])


def random_case(labels: int, spread: float) -> tuple[CrfDecoder, NDArray[np.float32]]:
    random = np.random.default_rng(labels)
    between, within, scores = (
        random.standard_normal(shape).astype(np.float32)
        for shape in ((labels + 1, labels + 1), (4, labels), (5, 40, 4 * labels + 1))
    )
    return CrfDecoder(between, within), spread * scores


def assert_same(found: SpanArrays, expected: SpanArrays) -> None:
    order, expected_order = (np.lexsort(spans.spans.T) for spans in (found, expected))
    assert np.array_equal(found.spans[order], expected.spans[expected_order])
    probabilities = np.exp(found.log_probs[order])
    assert probabilities == pytest.approx(np.exp(expected.log_probs[expected_order]), abs=1e-5)
    assert found.row_log_probs == pytest.approx(expected.row_log_probs, abs=1e-4)


@pytest.mark.parametrize("labels", [0, 1, 7, 8, 40])
@pytest.mark.parametrize("spread", [1.0, 20.0])
def test_spans_and_probabilities_are_those_of_numpy(labels: int, spread: float) -> None:
    decoder, scores = random_case(labels, spread)
    with compiled_kernels(texts=0, tokens=10**9):
        found = decoder.decode(scores, LENGTHS)
    assert len(found.spans) >= labels
    assert_same(found, decoder.decode(scores, LENGTHS))


def test_candidates_and_coverage_are_those_of_numpy() -> None:
    decoder, scores = random_case(3, 2.0)
    expected = decoder.candidates(scores, LENGTHS, floor=0.02, longest=9)
    covered = decoder.coverage(scores, LENGTHS, floor=0.05)
    with compiled_kernels(texts=0, tokens=10**9):
        assert_same(decoder.candidates(scores, LENGTHS, floor=0.02, longest=9), expected)
        for found, one in zip(decoder.coverage(scores, LENGTHS, floor=0.05), covered, strict=True):
            assert_same(found, one)


def test_messages_are_those_of_numpy() -> None:
    decoder, scores = random_case(5, 3.0)
    expected = decoder.forward_backward(scores, LENGTHS)
    with compiled_kernels(texts=0, tokens=10**9):
        _, found = decoder._solve(scores, LENGTHS)
    assert found.marginals == pytest.approx(expected.marginals, abs=2e-6)
    assert found.log_partition == pytest.approx(expected.log_partition, abs=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
def test_scores_that_have_overflown_give_whole_spans_as_in_numpy(value: float) -> None:
    decoder, scores = random_case(2, 1.0)
    scores.reshape(-1)[::11] = value
    with compiled_kernels(texts=0, tokens=10**9):
        found = decoder.decode(scores, LENGTHS)
    assert np.array_equal(found.spans, decoder.decode(scores, LENGTHS).spans)
    assert (found.row_log_probs <= 0).all()
    assert (found.log_probs <= 0).all()


def test_weights_that_have_overflown_give_whole_spans() -> None:
    decoder, scores = random_case(2, 1.0)
    decoder.span_transitions[1], decoder.inner_transitions[2] = np.nan, np.inf
    with compiled_kernels(texts=0, tokens=10**9):
        row, first, last, _ = decoder.decode(scores, LENGTHS).spans.T
    assert (first <= last).all()
    assert (last < LENGTHS[row]).all()


def test_a_row_without_tokens_has_no_spans() -> None:
    decoder, scores = random_case(2, 1.0)
    lengths = np.array([3, 0, 2, 0, 0])
    with compiled_kernels(texts=0, tokens=10**9):
        found = decoder.decode(scores, lengths)
    assert set(found.spans[:, 0].tolist()) <= {0, 2}
    assert found.row_log_probs[[1, 3, 4]].tolist() == [0, 0, 0]
