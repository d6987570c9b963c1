"""Span marginals against brute force over all tag sequences."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from annoseq.models import span_marginals as candidates
from annoseq.tokenization.bioes import bioes_to_token_spans
from tests.models.test_crf import (
    LENGTHS,
    all_scores,
    random_crf,
    random_emissions,
    total,
)
from tests.models.tiny import batch_of, random_tagger, tagged

Place = tuple[int, ...]


def found_by_hand(labels: int, *, spread: float) -> dict[Place, float]:
    """Add up the probabilities of the sequences that hold each span: row, first, last, label."""
    crf = random_crf(labels)
    emissions = random_emissions(crf) * spread
    shares: dict[Place, float] = {}
    for row, length in enumerate(LENGTHS.tolist()):
        scores = all_scores(crf, emissions[row, :length])
        whole = total(scores)
        for tags, score in scores.items():
            for _, *span in bioes_to_token_spans(np.array([tags]), labels=labels).tolist():
                place = (row, *span)
                shares[place] = shares.get(place, 0.0) + exp(score - whole)
    return shares


def found(labels: int, *, spread: float, floor: float, longest: int = 9) -> dict[Place, float]:
    crf = random_crf(labels)
    emissions = (random_emissions(crf) * spread).numpy()
    likely = crf.decoder.candidates(emissions, LENGTHS.numpy(), floor=floor, longest=longest)
    places, scores = likely.spans, likely.log_probs
    assert len(places) == len(set(map(tuple, places.tolist())))
    return dict(zip(map(tuple, places.tolist()), np.exp(scores).tolist(), strict=True))


@pytest.mark.parametrize("floor", [1e-6, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("spread", [1.0, 3.0])
@pytest.mark.parametrize("labels", [1, 2])
def test_all_spans_above_the_floor_are_returned(labels: int, spread: float, floor: float) -> None:
    expected = {
        place: share
        for place, share in found_by_hand(labels, spread=spread).items()
        if share >= floor
    }
    assert found(labels, spread=spread, floor=floor) == pytest.approx(expected)


def test_no_span_is_longer_than_the_maximum() -> None:
    everything = found(2, spread=1.0, floor=1e-6)
    short = {place: share for place, share in everything.items() if place[2] - place[1] < 2}
    assert len(short) < len(everything)
    assert found(2, spread=1.0, floor=1e-6, longest=2) == short


def test_chunks_give_the_same_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = found(2, spread=1.0, floor=1e-6)
    monkeypatch.setattr(candidates, "_PAIRS_PER_CHUNK", 3)
    assert found(2, spread=1.0, floor=1e-6) == whole


def test_without_labels_there_are_no_spans() -> None:
    crf = random_crf(0)
    emissions = random_emissions(crf).numpy()
    likely = crf.decoder.candidates(emissions, LENGTHS.numpy(), floor=0.01, longest=4)
    assert (likely.spans.shape, likely.log_probs.shape) == ((0, 4), (0,))


@pytest.mark.parametrize("levels", [1, 2])
def test_the_likeliest_spans_of_a_tagger_are_among_its_candidates(levels: int) -> None:
    tagger = random_tagger(levels=levels)
    rows = [tagged(tagger, list(text), levels=levels) for text in ("abcdefg", "x", "hija")]
    batch = batch_of(*rows)
    best = tagger.spans(batch)
    some = tagger.candidates(batch, floor=1e-3, longest=9)
    assert sum(len(one.spans) for one in best) > 1
    for likeliest, more in zip(best, some, strict=True):
        scores = {span[:3]: span.score for span in more.spans}
        assert len(scores) == len(more.spans) > len(likeliest.spans)
        assert all(score >= -6.91 for score in scores.values())
        places = [span[:2] for span in more.spans]
        assert places == sorted(places, key=lambda place: (place[0], -place[1]))
        for span in likeliest.spans:
            assert scores[span[:3]] == pytest.approx(span.score, abs=1e-4)
        assert more.score == pytest.approx(likeliest.score)


@pytest.mark.parametrize("labels", [1, 2])
def test_tokens_in_any_span_have_the_sum_of_all_spans_around_them(labels: int) -> None:
    crf = random_crf(labels)
    emissions = random_emissions(crf).numpy()
    expected: dict[tuple[int, int], list[float]] = {}
    for (row, first, last, label), share in found_by_hand(labels, spread=1.0).items():
        for token in range(first, last + 1):
            expected.setdefault((row, token), [0.0] * labels)[label] += share
    best, tokens = crf.decoder.coverage(emissions, LENGTHS.numpy(), floor=0.02)
    rows = {
        (row, token): (label, share)
        for (row, token, _, label), share in zip(
            tokens.spans.tolist(), np.exp(tokens.log_probs).tolist(), strict=True
        )
    }
    assert set(rows) == {place for place, shares in expected.items() if sum(shares) >= 0.02}
    for place, (label, share) in rows.items():
        assert share == pytest.approx(sum(expected[place]), abs=1e-5)
        assert expected[place][label] == max(expected[place])
    again = crf.decoder.decode(emissions, LENGTHS.numpy())
    assert again.spans.tolist() == best.spans.tolist()


def test_without_labels_no_token_is_covered() -> None:
    crf = random_crf(0)
    _, tokens = crf.decoder.coverage(random_emissions(crf).numpy(), LENGTHS.numpy(), floor=1e-6)
    assert tokens.spans.shape == (0, 4)
