"""Linear-chain CRF against brute force over all tag sequences."""

from __future__ import annotations

import itertools
from math import exp, log
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from annoseq.models.crf import LinearChainCrf
from annoseq.tokenization.bioes import bioes_to_token_spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from annoseq.models.forward_backward import ForwardBackward

LENGTHS = torch.tensor([4, 1, 3])
many_labels = pytest.mark.parametrize("labels", [0, 1, 2])


def random_crf(labels: int, *, seed: int = 0) -> LinearChainCrf:
    torch.manual_seed(seed)
    crf = LinearChainCrf(labels).double()
    for weights in crf.parameters():
        weights.data.normal_()
    return crf


def random_emissions(
    crf: LinearChainCrf, *, rows: int = 3, tokens: int = 4, seed: int = 1
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, tokens, crf.tags, generator=generator, dtype=torch.float64)


def viterbi(crf: LinearChainCrf, emissions: Tensor, lengths: Tensor) -> Tensor:
    tags = crf.decoder.viterbi(emissions.numpy(force=True), lengths.numpy())
    return torch.from_numpy(tags)


def messages_of(crf: LinearChainCrf, emissions: Tensor, lengths: Tensor) -> ForwardBackward:
    return crf.decoder.forward_backward(emissions.numpy(force=True), lengths.numpy())


def all_scores(crf: LinearChainCrf, emissions: Tensor) -> dict[tuple[int, ...], float]:
    """Score every sequence of whole spans over one row (T, K)."""
    return dict(_scored(crf, emissions.tolist(), crf.transitions().tolist()))


def _scored(
    crf: LinearChainCrf, emissions: list[list[float]], moves: list[list[float]]
) -> Iterator[tuple[tuple[int, ...], float]]:
    for tags in itertools.product(range(crf.tags), repeat=len(emissions)):
        if is_whole(tags, labels=crf.labels):
            steps = zip((0, *tags), tags, emissions, strict=False)
            yield tags, sum(at[tag] + moves[before][tag] for before, tag, at in steps)


def is_whole(tags: tuple[int, ...], *, labels: int) -> bool:
    """Tell, by reading tag by tag, whether spans are begun, gone on with and ended in turn."""
    opened: int | None = None
    for tag in tags:
        kind, label = divmod(tag - 1, labels) if tag else (-1, None)
        if (opened is None) != (kind in {-1, 0, 3}) or (opened is not None and label != opened):
            return False
        opened = label if kind in {0, 1} else None
    return opened is None


def total(scores: dict[tuple[int, ...], float]) -> float:
    return log(sum(map(exp, scores.values())))


@many_labels
def test_partition_viterbi_and_likelihood_match_brute_force(
    labels: int,
) -> None:
    crf = random_crf(labels)
    emissions = random_emissions(crf)
    messages = messages_of(crf, emissions, LENGTHS)
    best = viterbi(crf, emissions, LENGTHS)
    loss = crf.loss(emissions, best, LENGTHS)
    tags, likelihood = crf.decoder.likeliest_tags(emissions.numpy(), LENGTHS.numpy(), messages)
    assert tags.tolist() == best.tolist()
    for row, length in enumerate(LENGTHS.tolist()):
        scores = all_scores(crf, emissions[row, :length])
        winner = max(scores, key=scores.__getitem__)
        expected = scores[winner] - total(scores)
        assert messages.log_partition[row].item() == pytest.approx(total(scores))
        assert best[row].tolist() == [*winner, *[0] * (4 - length)]
        assert -loss[row].item() == pytest.approx(expected)
        assert likelihood[row].item() == pytest.approx(expected)


def test_viterbi_matches_brute_force_for_many_rows() -> None:
    crf = random_crf(2, seed=3)
    emissions = random_emissions(crf, rows=25, tokens=3) * 2
    best = viterbi(crf, emissions, torch.full((25,), 3))
    for row in range(25):
        scores = all_scores(crf, emissions[row])
        assert tuple(best[row].tolist()) == max(scores, key=scores.__getitem__)


@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0, 30.0])
def test_decoding_with_marginals_equals_viterbi(spread: float) -> None:
    crf = random_crf(2, seed=4)
    emissions = random_emissions(crf, rows=60, tokens=24) * spread
    lengths = torch.arange(60) % 24 + 1
    messages = messages_of(crf, emissions, lengths)
    tags, log_likelihood = crf.decoder.likeliest_tags(emissions.numpy(), lengths.numpy(), messages)
    best = viterbi(crf, emissions, lengths)
    assert tags.tolist() == best.tolist()
    expected = -crf.loss(emissions, best, lengths).detach()
    assert log_likelihood.tolist() == pytest.approx(expected.tolist())


def test_marginals_match_brute_force() -> None:
    crf = random_crf(2)
    emissions = random_emissions(crf)
    messages = messages_of(crf, emissions, LENGTHS)
    marginals = torch.from_numpy(messages.marginals)
    for row, length in enumerate(LENGTHS.tolist()):
        scores = all_scores(crf, emissions[row, :length])
        expected = torch.zeros(4, crf.tags, dtype=torch.float64)
        for tags, score in scores.items():
            expected[range(length), tags] += exp(score - total(scores))
        assert torch.allclose(marginals[row], expected)


@pytest.mark.parametrize("labels", [1, 2])
def test_span_probabilities_match_brute_force(labels: int) -> None:
    crf = random_crf(labels)
    emissions = random_emissions(crf)
    messages = messages_of(crf, emissions, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        scores = all_scores(crf, emissions[row, :length])
        shares: dict[tuple[int, ...], float] = {}
        for tags, score in scores.items():
            for _, *span in bioes_to_token_spans(np.array([tags]), labels=labels).tolist():
                place = (row, *span)
                shares[place] = shares.get(place, 0.0) + exp(score - total(scores))
        assert len(shares) == labels * length * (length + 1) // 2
        spans = np.array(list(shares)).reshape(-1, 4)
        found = np.exp(crf.decoder.span_log_probs(messages, spans))
        assert found.tolist() == pytest.approx(list(shares.values()))


def naive_loss(crf: LinearChainCrf, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
    """Sum in logarithms, one row after another, and let torch find the gradients."""
    moves = crf.transitions().clamp(min=-1e9)
    losses = []
    for row, length in enumerate(lengths.tolist()):
        reached = torch.full((crf.tags,), -1e9, dtype=torch.float64)
        reached[0] = 0.0
        before, score = 0, torch.zeros((), dtype=torch.float64)
        for place in range(length):
            at = emissions[row, place]
            reached = (reached.unsqueeze(1) + moves).logsumexp(0) + at
            tag = int(tags[row, place])
            score = score + at[tag] + moves[before, tag]
            before = tag
        losses.append(reached[crf.can_end].logsumexp(0) - score)
    return torch.stack(losses)


@many_labels
def test_gradients_match_autograd_in_log_space(labels: int) -> None:
    crf = random_crf(labels)
    emissions = random_emissions(crf).requires_grad_()
    tags = viterbi(crf, -emissions.detach(), LENGTHS)
    weights = [emissions, crf.span_transitions, *([crf.inner_transitions] if labels else [])]
    rows = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
    ours, theirs = (
        torch.autograd.grad((loss(emissions, tags, LENGTHS) * rows).sum(), weights)
        for loss in (crf.loss, lambda *given: naive_loss(crf, *given))
    )
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other)


def test_padding_is_not_read() -> None:
    crf = random_crf(2)
    emissions = random_emissions(crf, tokens=9) * 3
    lengths = torch.tensor([9, 2, 5])
    for row, length in enumerate(lengths.tolist()):
        emissions[row, length:] = 500.0 * random_emissions(crf, rows=1, tokens=9 - length)[0]
    best, messages = viterbi(crf, emissions, lengths), messages_of(crf, emissions, lengths)
    loss = crf.loss(emissions, best, lengths)
    for row, length in enumerate(lengths.tolist()):
        one, its = emissions[row : row + 1, :length], lengths[row : row + 1]
        alone = messages_of(crf, one, its)
        assert best[row, :length].tolist() == viterbi(crf, one, its)[0].tolist()
        assert not best[row, length:].any()
        assert torch.allclose(loss[row], crf.loss(one, best[row : row + 1, :length], its))
        spans = np.array([[0, 0, length - 1, 1], [0, length - 1, length - 1, 0]])
        there = spans + np.array([row, 0, 0, 0])
        together = crf.decoder.span_log_probs(messages, there)
        assert np.allclose(together, crf.decoder.span_log_probs(alone, spans))


def outside_and_spans(crf: LinearChainCrf) -> Tensor:
    """Emissions that are sure of a span of one label and then of another that was never begun."""
    _, begin, inside, end = (1 + crf.labels * kind for kind in range(-1, 3))
    emissions = torch.zeros(1, 14, crf.tags)
    emissions[:, 0, begin + 1] = 1e4
    emissions[:, 1:6, inside + 1] = 1e4
    emissions[:, 6:13, inside] = 1e4
    emissions[:, 13, end] = 1e4
    return emissions


@pytest.mark.parametrize("kind", ["sure", "random", "two values", "contradictory", "barred"])
def test_nothing_overflows(kind: str) -> None:
    crf = random_crf(2).float()
    noise = random_emissions(crf, rows=3, tokens=14).float()
    emissions = {
        "sure": noise * 1e4,
        "random": noise * 100,
        "two values": torch.where(noise > 0, 1e4, -1e4),
        "contradictory": outside_and_spans(crf).expand(3, -1, -1).clone(),
        "barred": noise.masked_fill((noise < 0) & (torch.arange(crf.tags) > 0), -torch.inf),
    }[kind].requires_grad_()
    lengths = torch.tensor([14, 3, 1])
    tags = viterbi(crf, emissions, lengths)
    loss = crf.loss(emissions, tags, lengths)
    gradients = torch.autograd.grad(
        loss.sum(), [emissions, crf.span_transitions, crf.inner_transitions]
    )
    messages = messages_of(crf, emissions, lengths)
    spans = bioes_to_token_spans(tags.numpy(), labels=2)
    for tensor in (loss, *gradients):
        assert tensor.isfinite().all()
    for array in (*messages, crf.decoder.span_log_probs(messages, spans)):
        assert np.isfinite(array).all()
    for row, length in enumerate(lengths.tolist()):
        assert is_whole(tuple(tags[row, :length].tolist()), labels=2)


def test_long_rows_keep_their_precision() -> None:
    crf = random_crf(2)
    emissions = random_emissions(crf, rows=2, tokens=150)
    emissions[1, 20:140, 3] += 8.0  # inside a span of the first label
    lengths = torch.tensor([150, 145])
    best = viterbi(crf, emissions, lengths)
    spans = bioes_to_token_spans(best.numpy(), labels=2)
    assert (spans[:, 2] - spans[:, 1]).max() > 100
    exact = messages_of(crf, emissions, lengths)
    expected = crf.decoder.span_log_probs(exact, spans)
    single = crf.float()
    messages = messages_of(single, emissions.float(), lengths)
    assert np.allclose(messages.log_partition, exact.log_partition, rtol=1e-5)
    found = single.decoder.span_log_probs(messages, spans)
    assert np.allclose(np.exp(found), np.exp(expected), atol=1e-3)
    assert torch.equal(viterbi(single, emissions.float(), lengths), best)


def test_an_empty_batch_has_no_loss() -> None:
    """A level of nesting that no row of a batch reaches still takes part in the gradients."""
    crf = LinearChainCrf(2)
    none = torch.zeros(0, 3, crf.tags, requires_grad=True)
    empty = torch.zeros(0, dtype=torch.long)
    loss = crf.loss(none, empty.reshape(0, 3), empty)
    assert loss.shape == (0,)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert crf.span_transitions.grad is not None
    assert not crf.span_transitions.grad.any()
