from __future__ import annotations

import torch

from annoseq.models.hash_embedding import HashEmbedding
from annoseq.tokenization.hash_features import FEATURE_KINDS, FeatureHasher

WIDTH = 4


def some_words() -> FeatureHasher:
    words = FeatureHasher(buckets=1024)
    words.token_ids(["Dr", ".", " Ames", "Ames", " ames"])
    words.token_ids([" Ames"], [("list names single",)])
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
    rows = torch.tensor([[0.6, 0.8, 0.0]] * 5 + [[0.0, 0.0, 1.0]])
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
    rows = torch.tensor([[0.6, 0.8, 0.0]]).repeat(400, 1)
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
    rows = torch.tensor([[0.6, 0.8, 0.0]] * 6)
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
