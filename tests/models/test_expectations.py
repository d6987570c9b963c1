"""Expectations of taggers, and losses of soft targets, against sums over all tag sequences."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from annoseq.models import expectations
from annoseq.models.biaffine import BiaffineHead
from annoseq.models.crf import LinearChainCrf
from annoseq.models.expectations import Expectations, crf_expectations, path_expectations
from annoseq.tokenization.bioes import spans_to_bioes
from annoseq.tokenization.linearize import AlignedSpan
from annoseq.tokenization.soft_targets import RowTargets, SoftTargets
from tests.models.tiny import LABELS, randomise

TOKENS, LENGTHS = 3, torch.tensor([3, 2])


def random_crf(seed: int) -> tuple[LinearChainCrf, torch.Tensor]:
    """Return a CRF of one label, and emissions for two rows."""
    crf = LinearChainCrf(1)
    randomise(crf, seed=seed, spread=1.0)
    generator = torch.Generator().manual_seed(seed)
    return crf, torch.randn(2, TOKENS, crf.tags, generator=generator)


def sequences(
    crf: LinearChainCrf, emissions: torch.Tensor, length: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all tag sequences (N, T) of a row, and their log-probabilities (N,)."""
    tags = torch.tensor(list(product(range(crf.tags), repeat=length)))
    padded = torch.zeros(len(tags), TOKENS, dtype=torch.long)
    padded[:, :length] = tags
    many = emissions.expand(len(tags), -1, -1)
    losses = crf.loss(many, padded, torch.full((len(tags),), length))
    return padded, -losses.masked_fill(~crf.can_end[tags[:, -1]], torch.inf)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_loss_is_the_cross_entropy_of_two_distributions(
    temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expectations, "LEAST", 0.0)
    (teacher, theirs), (pupil, ours) = random_crf(1), random_crf(2)
    expected = crf_expectations(teacher, theirs, LENGTHS, temperature=temperature)
    soft = SoftTargets.collate(expected.rows(LENGTHS), [1.0, 0.25])
    gold = torch.tensor([[0, 0, 0], [4, 0, 0]])
    losses = pupil.loss(ours, gold, LENGTHS, soft)
    hard = pupil.loss(ours, gold, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        _, scores = sequences(teacher, theirs[row], length)
        _, logs = sequences(pupil, ours[row], length)
        chances = (scores / temperature).softmax(0)
        entropy = -(chances * logs)[chances > 0].sum()
        weight = float(soft.weights[row])
        mixed = weight * entropy + (1 - weight) * hard[row]
        assert losses[row].item() == pytest.approx(mixed.item(), rel=2e-3)


def test_tags_and_transitions_are_counted_once_for_each_token() -> None:
    crf, emissions = random_crf(3)
    expected = crf_expectations(crf, emissions, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        assert expected.probabilities[row, :length].sum(1).tolist() == pytest.approx([1] * length)
        assert expected.transitions[row].sum().item() == pytest.approx(length, rel=1e-3)


def test_a_pupil_that_expects_the_same_has_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectations, "LEAST", 0.0)
    crf, emissions = random_crf(4)
    rows = crf_expectations(crf, emissions, LENGTHS).rows(LENGTHS)
    emissions.requires_grad_()
    soft = SoftTargets.collate(rows, [1.0, 1.0])
    losses = crf.loss(emissions, torch.zeros(2, TOKENS, dtype=torch.long), LENGTHS, soft)
    torch.autograd.backward(losses.sum())
    assert emissions.grad is not None
    for gradient in (emissions.grad, crf.span_transitions.grad, crf.inner_transitions.grad):
        assert gradient is not None
        assert gradient.abs().max() < 2e-3  # half precision


def test_the_expectations_of_teachers_are_averaged() -> None:
    several = [
        Expectations(torch.full((1, 1, 5), value), torch.full((1, 2), value)) for value in (0.0, 1)
    ]
    mixed = Expectations.mean(several)
    assert set(mixed.probabilities.flatten().tolist()) == {0.5}
    assert mixed.transitions.tolist() == [[0.5, 0.5]]


def test_small_chances_are_left_out_and_shared_by_the_others() -> None:
    probabilities = torch.tensor([[[0.75, 0.2496, 0.0004, 0.0, 0.0]]])
    (row,) = Expectations(probabilities, torch.tensor([[0.5, 1e-4]])).rows(torch.tensor([1]))
    assert row.places.tolist() == [[0, 0], [0, 1]]
    assert float(row.probabilities.sum()) == pytest.approx(1, abs=1e-3)
    assert row.transitions.tolist() == [0]
    assert row.confidence == pytest.approx(0.75)


def test_pairs_of_sure_teachers_are_learned_like_gold_spans() -> None:
    head = BiaffineHead(6, labels=2, levels=2, self_nested=[0])
    randomise(head, spread=0.2)
    head.eval()
    encoded = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(1))
    spans = [AlignedSpan(0, 3, "A"), AlignedSpan(1, 2, "B")]
    lengths = torch.tensor([4])

    def loss(aligned: list[AlignedSpan], soft: SoftTargets | None = None) -> float:
        tags = spans_to_bioes(aligned, tokens=4, levels=2, labels=LABELS, self_nested="A")
        return head.loss(encoded, torch.tensor([tags]), lengths, soft).item()

    sure = torch.zeros(1, 4, 4, 3)
    sure[..., 0] = 1
    for span in spans:
        sure[0, span.first, span.last - 1] = torch.eye(3)[LABELS[span.label] + 1]
    rows: list[RowTargets | None] = [*Expectations(sure, torch.zeros(1, 0)).rows(lengths)]
    assert loss([], SoftTargets.collate(rows, [1.0])) == pytest.approx(loss(spans), rel=1e-5)
    assert loss(spans, SoftTargets.collate([None], [1.0])) == pytest.approx(loss(spans), rel=1e-5)
    expected = head.expectations(encoded, lengths, temperature=2.0)
    assert torch.allclose(expected.probabilities, (head.scores(encoded) / 2).softmax(3), atol=1e-6)


def test_one_that_is_sure_of_a_path_expects_it() -> None:
    crf, _ = random_crf(1)
    path = torch.tensor([[1, 3, 4], [0, 4, 0]])  # begin, end, single
    emissions = torch.nn.functional.one_hot(path, crf.tags) * 100.0
    expected = crf_expectations(crf, emissions, LENGTHS)
    found = path_expectations(path, LENGTHS, labels=1)
    assert torch.allclose(found.transitions, expected.transitions, atol=1e-3)
    for row, length in enumerate(LENGTHS):
        ours, theirs = (one.probabilities[row, :length] for one in (found, expected))
        assert torch.allclose(ours, theirs, atol=1e-3)
