from __future__ import annotations

from itertools import product

import pytest
import torch

from annoseq.models.embeddings import SourceEmbedding, TargetEmbedding, make_embedding
from annoseq.tokenization.vocabulary import PAD

SIZE, WIDTH = 9, 6
COPIES = [0, 1, 2, 3, 8, 1, 4]


def test_rows_begin_with_a_length_of_about_one_and_padding_with_none() -> None:
    torch.manual_seed(1)
    weight = make_embedding(1000, 64).weight.detach()
    assert not weight[PAD].any()
    lengths = weight[PAD + 1 :].norm(dim=1)
    assert float(lengths.mean()) == pytest.approx(1, rel=0.05)
    assert float(lengths.min()) > 0.5


def test_padding_learns_nothing_as_an_input() -> None:
    embedding = make_embedding(SIZE, WIDTH)
    embedding(torch.tensor([PAD, 4])).sum().backward()
    assert embedding.weight.grad is not None
    assert not embedding.weight.grad[PAD].any()
    assert embedding.weight.grad[4].all()


def test_the_targets_scores_are_products_with_its_embeddings() -> None:
    target, top = TargetEmbedding(SIZE, WIDTH), torch.randn(3, WIDTH)
    torch.nn.init.normal_(target.output.bias)
    expected = torch.empty(3, SIZE)
    for row, id_ in product(range(3), range(SIZE)):
        expected[row, id_] = top[row] @ target.embedding.weight[id_] + target.output.bias[id_]
    torch.testing.assert_close(target.logits(top), expected)
    torch.testing.assert_close(target.scores(top), expected.log_softmax(-1))
    assert torch.equal(target(torch.tensor([[4, 4]])), target.embedding.weight[[4, 4]][None])


@pytest.mark.parametrize(
    "columns", [[[4, 4, 0], [8, 1, 2], [3, 3, 3]], [[5], [5], [5]], [[8], [0], [4]]]
)
def test_the_scores_of_columns_are_their_logits(columns: list[list[int]]) -> None:
    target, top, asked = TargetEmbedding(SIZE, WIDTH), torch.randn(3, WIDTH), torch.tensor(columns)
    torch.testing.assert_close(target.scores(top, asked), target.logits(top).gather(1, asked))


def test_dropout_stands_before_the_output() -> None:
    target, top = TargetEmbedding(SIZE, WIDTH, dropout=0.9), torch.ones(200, WIDTH)
    torch.manual_seed(1)
    assert torch.equal(target(torch.tensor([4])), target.embedding.weight[4:5])
    columns = torch.tensor([[4]] * 200)
    for scores in (target.logits(top)[:, 4:5], target.scores(top, columns)):
        assert len(set(scores.flatten().tolist())) > 2
    target.eval()
    assert len(set(target.logits(top)[:, 4].tolist())) == 1


def test_a_source_has_embeddings_of_its_own() -> None:
    target = TargetEmbedding(SIZE, WIDTH)
    source = SourceEmbedding(5, target, dropout=0)
    assert source.table.weight.shape == (5, WIDTH)
    assert source.copies is None
    assert torch.equal(source(torch.tensor([[1, 4]])), source.table.weight[[1, 4]][None])


def test_a_source_can_take_those_of_the_same_tokens_in_the_target() -> None:
    target = TargetEmbedding(SIZE, WIDTH)
    source = SourceEmbedding(len(COPIES), target, dropout=0, copies=COPIES)
    tokens = torch.tensor([[4, 5, 6], [0, 3, 4]])
    expected = target.embedding.weight[torch.tensor([[8, 1, 4], [0, 3, 8]])]
    assert torch.equal(source(tokens), expected)
    source(tokens).sum().backward()
    assert target.embedding.weight.grad is not None
    assert target.embedding.weight.grad.any(1).tolist() == [
        id_ in {1, 3, 4, 8} for id_ in range(SIZE)
    ]


def test_what_is_copied_from_where_is_no_weight() -> None:
    """It follows from the vocabularies, so no file holds it, but it moves with the network."""
    source = SourceEmbedding(7, TargetEmbedding(SIZE, WIDTH), dropout=0, copies=COPIES)
    assert list(source.state_dict()) == ["table.weight"]
    assert [name for name, _ in source.named_buffers()] == ["copies"]
    assert source.to("meta").copies.is_meta  # type: ignore[union-attr]


def test_dropout_acts_on_the_source_embeddings() -> None:
    source = SourceEmbedding(5, TargetEmbedding(SIZE, WIDTH), dropout=0.5)
    torch.nn.init.ones_(source.table.weight)
    tokens = torch.full((40, 5), 4)
    assert set(source(tokens).flatten().tolist()) == {0.0, 2.0}
    assert set(source.eval()(tokens).flatten().tolist()) == {1.0}
