from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from annoseq.models.embeddings import (
    SINUSOIDS,
    HashEmbedding,
    SourceEmbedding,
    TargetEmbedding,
    make_embedding,
    position_increments,
    sinusoidal_encoding,
)
from annoseq.tokenization.hash_features import FEATURE_KINDS, FeatureHasher
from annoseq.tokenization.vocabulary import BEGIN, END, PAD

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


def test_sinusoidal_encodings_of_near_positions_are_similar() -> None:
    turned = sinusoidal_encoding(torch.arange(150))
    assert turned.shape == (150, 2 * SINUSOIDS)
    products = turned @ turned.T
    torch.testing.assert_close(products.diagonal(), torch.ones(150))
    torch.testing.assert_close(products[0, 1], torch.tensor(0.60), atol=0.01, rtol=0)
    apart = products.masked_fill(torch.eye(150, dtype=torch.bool), -1)
    assert apart.max() < 0.7
    # However far along they are.
    torch.testing.assert_close(
        sinusoidal_encoding(torch.arange(5_000, 5_150)) @ sinusoidal_encoding(torch.tensor(5_000)),
        products[0],
        atol=1e-3,
        rtol=0,
    )


def test_tags_and_special_symbols_do_not_advance() -> None:
    far = position_increments(9, [5, 7])
    assert [id_ for id_ in range(9) if not far[id_]] == sorted([PAD, BEGIN, END, 5, 7])


WIDTH = 4


def some_words() -> FeatureHasher:
    words = FeatureHasher(buckets=1024)
    words.token_ids(["Dr", ".", " Ames", "Ames", " ames"])
    words.token_ids([" Ames"], {0: ("list names single",)})
    return words


def test_the_vector_of_a_word_does_not_depend_on_the_batch() -> None:
    words, vectors = some_words(), HashEmbedding(buckets=1024, width=WIDTH, word_dropout=0.0)
    together = vectors(words.bags(range(6)))
    assert together.shape == (6, FEATURE_KINDS * WIDTH)
    for number in range(6):
        assert torch.allclose(vectors(words.bags([number]))[0], together[number])
    assert vectors(words.bags([])).shape == (0, FEATURE_KINDS * WIDTH)


def test_each_kind_of_features_has_its_part_of_the_vector() -> None:
    vectors = HashEmbedding(buckets=1024, width=WIDTH, word_dropout=0.0)
    _, _, spaced, bare, lower, marked = vectors(some_words().bags(range(6))).split(1)

    def differing(one: torch.Tensor, other: torch.Tensor) -> list[int]:
        return (one != other).reshape(FEATURE_KINDS, WIDTH).any(1).nonzero().flatten().tolist()

    assert differing(spaced, bare) == [3]
    assert differing(spaced, lower) == [3]
    assert differing(spaced, marked) == [4]


def test_word_dropout() -> None:
    words = FeatureHasher(buckets=1024)
    numbers = words.token_ids([f"w{number}" for number in range(400)])
    vectors = HashEmbedding(buckets=1024, width=WIDTH, word_dropout=0.25)
    torch.manual_seed(0)
    forms, rest = vectors(words.bags(numbers)).split([WIDTH, (FEATURE_KINDS - 1) * WIDTH], 1)
    assert 60 < int((forms == 0).all(1).sum()) < 140
    assert rest.any(1).all()
    assert vectors.eval()(words.bags(numbers))[:, :WIDTH].any(1).all()


def test_word_vectors_are_one_more_kind() -> None:
    rows = np.array([[0.6, 0.8, 0.0]] * 5 + [[0.0, 0.0, 1.0]], np.float32)
    bags = some_words().bags(range(6))._replace(vectors=rows)
    torch.manual_seed(0)
    plain = HashEmbedding(buckets=1024, width=WIDTH, word_dropout=0.0)
    torch.manual_seed(0)
    vectors = HashEmbedding(buckets=1024, width=WIDTH, word_dropout=0.0, columns=3)
    assert (plain.width, vectors.width) == (FEATURE_KINDS * WIDTH, (FEATURE_KINDS + 1) * WIDTH)
    hashed, projected = vectors(bags).split([FEATURE_KINDS * WIDTH, WIDTH], 1)
    assert torch.equal(hashed, plain(bags))
    assert (projected[:5] == projected[0]).all()
    assert not torch.equal(projected[0], projected[5])
    assert plain.state_dict().keys() < vectors.state_dict().keys()


def test_word_dropout_drops_word_vectors_too() -> None:
    words = FeatureHasher(buckets=1024)
    numbers = words.token_ids([f"w{number}" for number in range(400)])
    rows = np.array([[0.6, 0.8, 0.0]] * 400, np.float32)
    bags = words.bags(numbers)._replace(vectors=rows)
    vectors = HashEmbedding(buckets=1024, width=WIDTH, word_dropout=0.25, columns=3)
    assert vectors.projection is not None
    nothing = vectors.projection(torch.tensor([0.0, 0.0, 1.0]))
    torch.manual_seed(0)
    projected = vectors(bags)[:, FEATURE_KINDS * WIDTH :]
    assert 60 < int((projected == nothing).all(1).sum()) < 140
    assert rows.tolist() == [rows[0].tolist()] * 400
    assert not (vectors.eval()(bags)[:, FEATURE_KINDS * WIDTH :] == nothing).all(1).any()


def test_half_precision() -> None:
    rows = np.array([[0.6, 0.8, 0.0]] * 6, np.float32)
    bags = some_words().bags(range(6))._replace(vectors=rows)
    vectors = HashEmbedding(buckets=1024, width=WIDTH, word_dropout=0.0, columns=3).eval()
    expected = vectors(bags)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = vectors(bags)
    assert not torch.equal(found, expected)
    assert torch.allclose(found.float(), expected, atol=0.02)


def test_membership_of_a_word_in_the_training_texts_can_be_tested() -> None:
    """Only the rows of trained words move from their initial values, which a saved seed gives."""
    hasher = FeatureHasher(buckets=1024)
    trained, untrained = hasher.token_ids(["Ames", "Zoë"])
    torch.manual_seed(1)
    embedding = HashEmbedding(buckets=1024, width=WIDTH, word_dropout=0.0)
    torch.manual_seed(1)
    initial = HashEmbedding(buckets=1024, width=WIDTH, word_dropout=0.0)
    embedding(hasher.bags([trained])).sum().backward()
    torch.optim.SGD(embedding.parameters(), lr=0.1).step()

    def has_moved(token: int) -> bool:
        rows = hasher.bags([token]).ids[0]
        before, after = (vectors.tables[0].weight[rows] for vectors in (initial, embedding))  # type: ignore[index]
        return bool((before != after).all())

    assert has_moved(trained)
    assert not has_moved(untrained)
