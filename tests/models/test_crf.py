"""The CRF against all sequences there are, one by one."""

from __future__ import annotations

import itertools
from math import exp, log
from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.models.crf import LinearChainCrf
from annoseq.tokenization.bioes import bioes_to_token_spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

LENGTHS = torch.tensor([4, 1, 3])
many_labels = pytest.mark.parametrize("labels", [0, 1, 2])


def random_chain(labels: int, *, seed: int = 0) -> LinearChainCrf:
    torch.manual_seed(seed)
    chain = LinearChainCrf(labels).double()
    for weights in chain.parameters():
        weights.data.normal_()
    return chain


def random_emissions(chain: LinearChainCrf, *, rows: int = 3, tokens: int = 4, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, tokens, chain.tags, generator=generator, dtype=torch.float64)


def all_scores(chain: LinearChainCrf, emissions: Tensor) -> dict[tuple[int, ...], float]:
    """Score every sequence of whole spans over one row (T, K)."""
    return dict(_scored(chain, emissions.tolist(), chain.transitions().tolist()))


def _scored(
    chain: LinearChainCrf, emissions: list[list[float]], moves: list[list[float]]
) -> Iterator[tuple[tuple[int, ...], float]]:
    for tags in itertools.product(range(chain.tags), repeat=len(emissions)):
        if is_whole(tags, labels=chain.labels):
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
def test_the_partition_the_best_and_the_likelihoods_are_those_of_all_sequences(
    labels: int,
) -> None:
    chain = random_chain(labels)
    emissions = random_emissions(chain)
    paths = chain.paths(emissions, LENGTHS)
    best = chain.best(emissions, LENGTHS)
    loss = chain.loss(emissions, best, LENGTHS)
    likelihood = chain.log_likelihood(emissions, best, LENGTHS, paths)
    for row, length in enumerate(LENGTHS.tolist()):
        scores = all_scores(chain, emissions[row, :length])
        winner = max(scores, key=scores.__getitem__)
        expected = scores[winner] - total(scores)
        assert paths.log_partition[row].item() == pytest.approx(total(scores))
        assert best[row].tolist() == [*winner, *[0] * (4 - length)]
        assert -loss[row].item() == pytest.approx(expected)
        assert likelihood[row].item() == pytest.approx(expected)


def test_the_best_is_right_for_many_rows() -> None:
    chain = random_chain(2, seed=3)
    emissions = random_emissions(chain, rows=25, tokens=3) * 2
    best = chain.best(emissions, torch.full((25,), 3))
    for row in range(25):
        scores = all_scores(chain, emissions[row])
        assert tuple(best[row].tolist()) == max(scores, key=scores.__getitem__)


def test_the_marginals_are_those_of_all_sequences() -> None:
    chain = random_chain(2)
    emissions = random_emissions(chain)
    paths = chain.paths(emissions, LENGTHS)
    marginals = paths.ahead * paths.behind
    for row, length in enumerate(LENGTHS.tolist()):
        scores = all_scores(chain, emissions[row, :length])
        expected = torch.zeros(4, chain.tags, dtype=torch.float64)
        for tags, score in scores.items():
            expected[range(length), tags] += exp(score - total(scores))
        assert torch.allclose(marginals[row], expected)


@pytest.mark.parametrize("labels", [1, 2])
def test_a_span_is_as_likely_as_all_sequences_that_hold_it(labels: int) -> None:
    chain = random_chain(labels)
    emissions = random_emissions(chain)
    paths = chain.paths(emissions, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        scores = all_scores(chain, emissions[row, :length])
        shares: dict[tuple[int, ...], float] = {}
        for tags, score in scores.items():
            for _, *span in bioes_to_token_spans(torch.tensor([tags]), labels=labels).tolist():
                place = (row, *span)
                shares[place] = shares.get(place, 0.0) + exp(score - total(scores))
        assert len(shares) == labels * length * (length + 1) // 2
        spans = torch.tensor(list(shares)).reshape(-1, 4)
        found = chain.log_probabilities(paths, spans).exp()
        assert found.tolist() == pytest.approx(list(shares.values()))


def naive_loss(chain: LinearChainCrf, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
    """Sum in logarithms, one row after another, and let torch find the gradients."""
    moves = chain.transitions().clamp(min=-1e9)
    losses = []
    for row, length in enumerate(lengths.tolist()):
        reached = torch.full((chain.tags,), -1e9, dtype=torch.float64)
        reached[0] = 0.0
        before, score = 0, torch.zeros((), dtype=torch.float64)
        for place in range(length):
            at = emissions[row, place]
            reached = (reached.unsqueeze(1) + moves).logsumexp(0) + at
            tag = int(tags[row, place])
            score = score + at[tag] + moves[before, tag]
            before = tag
        losses.append(reached[chain.closed].logsumexp(0) - score)
    return torch.stack(losses)


@many_labels
def test_the_gradients_are_those_of_a_sum_in_logarithms(labels: int) -> None:
    chain = random_chain(labels)
    emissions = random_emissions(chain).requires_grad_()
    tags = chain.best(-emissions.detach(), LENGTHS)
    weights = [emissions, chain.between, *([chain.within] if labels else [])]
    rows = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
    ours, theirs = (
        torch.autograd.grad((loss(emissions, tags, LENGTHS) * rows).sum(), weights)
        for loss in (chain.loss, lambda *given: naive_loss(chain, *given))
    )
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other)


def test_padding_is_not_read() -> None:
    chain = random_chain(2)
    emissions = random_emissions(chain, tokens=9) * 3
    lengths = torch.tensor([9, 2, 5])
    for row, length in enumerate(lengths.tolist()):
        emissions[row, length:] = 500.0 * random_emissions(chain, rows=1, tokens=9 - length)[0]
    best, paths = chain.best(emissions, lengths), chain.paths(emissions, lengths)
    loss = chain.loss(emissions, best, lengths)
    for row, length in enumerate(lengths.tolist()):
        one, its = emissions[row : row + 1, :length], lengths[row : row + 1]
        alone = chain.paths(one, its)
        assert best[row, :length].tolist() == chain.best(one, its)[0].tolist()
        assert not best[row, length:].any()
        assert torch.allclose(loss[row], chain.loss(one, best[row : row + 1, :length], its))
        spans = torch.tensor([[0, 0, length - 1, 1], [0, length - 1, length - 1, 0]])
        there = spans + torch.tensor([row, 0, 0, 0])
        assert torch.allclose(
            chain.log_probabilities(paths, there), chain.log_probabilities(alone, spans)
        )


def outside_and_spans(chain: LinearChainCrf) -> Tensor:
    """Emissions that are sure of a span of one label and then of another that was never begun."""
    _, begin, inside, end = (1 + chain.labels * kind for kind in range(-1, 3))
    emissions = torch.zeros(1, 14, chain.tags)
    emissions[:, 0, begin + 1] = 1e4
    emissions[:, 1:6, inside + 1] = 1e4
    emissions[:, 6:13, inside] = 1e4
    emissions[:, 13, end] = 1e4
    return emissions


@pytest.mark.parametrize("kind", ["sure", "random", "two values", "contradictory", "barred"])
def test_nothing_overflows(kind: str) -> None:
    chain = random_chain(2).float()
    noise = random_emissions(chain, rows=3, tokens=14).float()
    emissions = {
        "sure": noise * 1e4,
        "random": noise * 100,
        "two values": torch.where(noise > 0, 1e4, -1e4),
        "contradictory": outside_and_spans(chain).expand(3, -1, -1).clone(),
        "barred": noise.masked_fill((noise < 0) & (torch.arange(chain.tags) > 0), -torch.inf),
    }[kind].requires_grad_()
    lengths = torch.tensor([14, 3, 1])
    tags = chain.best(emissions, lengths)
    loss = chain.loss(emissions, tags, lengths)
    gradients = torch.autograd.grad(loss.sum(), [emissions, chain.between, chain.within])
    paths = chain.paths(emissions, lengths)
    spans = bioes_to_token_spans(tags, labels=2)
    for one in (loss, *gradients, *paths, chain.log_probabilities(paths, spans)):
        assert one.isfinite().all()
    for row, length in enumerate(lengths.tolist()):
        assert is_whole(tuple(tags[row, :length].tolist()), labels=2)


def test_long_rows_keep_their_precision() -> None:
    chain = random_chain(2)
    emissions = random_emissions(chain, rows=2, tokens=150)
    emissions[1, 20:140, 3] += 8.0  # inside a span of the first label
    lengths = torch.tensor([150, 145])
    best = chain.best(emissions, lengths)
    spans = bioes_to_token_spans(best, labels=2)
    assert (spans[:, 2] - spans[:, 1]).max() > 100
    exact = chain.paths(emissions, lengths)
    expected = chain.log_probabilities(exact, spans)
    single = chain.float()
    paths = single.paths(emissions.float(), lengths)
    assert torch.allclose(paths.log_partition.double(), exact.log_partition, rtol=1e-5)
    found = single.log_probabilities(paths, spans).double()
    assert torch.allclose(found.exp(), expected.exp(), atol=1e-3)
    assert torch.equal(single.best(emissions.float(), lengths), best)


def test_no_row_at_all_has_no_loss() -> None:
    """A level of nesting that no row of a batch reaches still takes part in the gradients."""
    chain = LinearChainCrf(2)
    none = torch.zeros(0, 3, chain.tags, requires_grad=True)
    empty = torch.zeros(0, dtype=torch.long)
    loss = chain.loss(none, empty.reshape(0, 3), empty)
    assert loss.shape == (0,)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert chain.between.grad is not None
    assert not chain.between.grad.any()
