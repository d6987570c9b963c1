"""Ensembles of taggers: their scores are the means of those of the members."""

from __future__ import annotations

import pytest
import torch

from annoseq.models.tagger_ensemble import TaggerEnsemble
from annoseq.tokenization.batching import Batch
from annoseq.tokenization.bioes import spans_to_bioes
from annoseq.tokenization.linearize import AlignedSpan
from tests.models.tiny import LABELS, random_tagger, randomise

TOKENS = ["Dr", ".", " Ames", ",", " 31"]


def batches(levels: int) -> tuple[TaggerEnsemble, list[torch.Tensor], Batch]:
    """Return an ensemble of two random taggers, the scores of each, and the batch."""
    members = [random_tagger(levels=levels) for _ in range(2)]
    scores, columns = [], []
    for seed, member in enumerate(members):
        randomise(member, seed=seed)
        member.feature_hasher.token_ids(TOKENS[:seed])  # numbers differ from member to member
        ids = torch.tensor([member.feature_hasher.token_ids(TOKENS)])
        columns.append(ids)
        scores.append(member.eval().scores(Batch([0], ids, torch.tensor([len(TOKENS)]))))
    batch = Batch([0], torch.stack(columns, 2), torch.tensor([len(TOKENS)]))
    return TaggerEnsemble(members).eval(), scores, batch


def test_the_emissions_and_transitions_of_crfs_are_averaged() -> None:
    ensemble, scores, batch = batches(levels=1)
    assert torch.allclose(ensemble.scores(batch), torch.stack(scores).mean(0), atol=1e-5)
    ours, one, other = (next(tagger.head.parameters()) for tagger in (ensemble, *ensemble.members))
    assert torch.allclose(ours, (one + other) / 2)


def test_the_scores_of_pairs_are_averaged() -> None:
    ensemble, scores, batch = batches(levels=2)
    expected = torch.stack(scores).mean(0).log_softmax(3)  # of logits up to a constant
    assert torch.allclose(ensemble.scores(batch), expected, atol=1e-5)


@pytest.mark.parametrize("levels", [1, 2])
def test_an_ensemble_of_one_tagger_twice_finds_what_it_finds(levels: int) -> None:
    member = random_tagger(levels=levels)
    ids = torch.tensor([member.feature_hasher.token_ids(TOKENS)])
    lengths = torch.tensor([len(TOKENS)])
    alone = member.spans(Batch([0], ids, lengths))
    twice = TaggerEnsemble([member, member]).eval()
    together = twice.spans(Batch([0], torch.stack([ids, ids], 2), lengths))
    assert [span[:3] for span in together[0].spans] == [span[:3] for span in alone[0].spans]
    scores = [span.score for span in alone[0].spans]
    assert [span.score for span in together[0].spans] == pytest.approx(scores, abs=1e-4)
    expected = member.expectations(Batch([0], ids, lengths))
    again = twice.expectations(Batch([0], torch.stack([ids, ids], 2), lengths))
    assert torch.allclose(again.probabilities, expected.probabilities, atol=1e-5)


def voted(weight: float) -> tuple[TaggerEnsemble, torch.Tensor, Batch, list[int]]:
    """Return a random tagger with a writer, the tagger's scores, the batch, and the vote's tags."""
    member = random_tagger(levels=1)
    ids = torch.tensor([member.feature_hasher.token_ids(TOKENS)])
    lengths = torch.tensor([len(TOKENS)])
    path = spans_to_bioes([AlignedSpan(2, 5, "B")], tokens=len(TOKENS), levels=1, labels=LABELS)
    tags = [tag for (tag,) in path]
    ensemble = TaggerEnsemble([member], writers=1, vote_weight=weight).eval()
    batch = Batch([0], torch.stack([ids, torch.tensor([tags])], 2), lengths)
    return ensemble, member.scores(Batch([0], ids, lengths)), batch, tags


def test_a_vote_raises_the_score_of_its_tag() -> None:
    ensemble, scores, batch, tags = voted(1.5)
    raised = ensemble.scores(batch) - scores
    expected = torch.nn.functional.one_hot(torch.tensor([tags]), scores.shape[2]) * 1.5
    assert torch.allclose(raised, expected, atol=1e-5)
    ensemble.set_vote_weight(0)
    assert torch.allclose(ensemble.scores(batch), scores, atol=1e-5)


def test_a_vote_of_great_weight_is_followed() -> None:
    ensemble, _, batch, _ = voted(100)
    (found,) = ensemble.spans(batch)
    assert [span[:3] for span in found.spans] == [(2, 5, LABELS["B"])]
    assert ensemble.expectations(batch).probabilities.amax(2).min() > 0.99
