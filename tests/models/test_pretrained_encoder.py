from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.errors import EncoderError
from annoseq.models import pretrained_encoder
from annoseq.models.encoder_folder import open_encoder
from annoseq.tokenization.hash_features import FeatureHasher
from tests.encoders import FAMILIES, POSITIONS, change_config, encoder_folder, write_encoder_folder

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from annoseq.models.pretrained_encoder import PretrainedEncoder

every_family = pytest.mark.parametrize("family", FAMILIES)
ROWS = [
    ["Dr", ".", " Ames", ",", " 31", "y", "\n", "\u200b", "Zoë"],
    ["Ames", " saw", " nobody", " at", " the"] * 12,  # longer than the encoder's positions
    ["\u200b"],
    ["Ames", "y" * 90, " Lee"],  # a token longer than a window
]


def opened(family: str, *, layers: int | None = None) -> PretrainedEncoder:
    return open_encoder(encoder_folder(family), layers=layers)


def vectors(encoder: PretrainedEncoder, rows: list[list[str]]) -> list[Tensor]:
    """Return the vectors of the tokens of each row, all rows read in one batch."""
    hasher = FeatureHasher(buckets=1024)
    ids = [hasher.token_ids(row) for row in rows]
    lengths = torch.tensor(list(map(len, ids)))
    padded = torch.zeros(len(ids), int(lengths.max()), dtype=torch.long)
    for row, row_ids in enumerate(ids):
        padded[row, : len(row_ids)] = torch.tensor(row_ids)
    encoded = encoder(hasher, padded, lengths)
    assert (encoded[torch.arange(padded.shape[1]) >= lengths.unsqueeze(1)] == 0).all()
    return [row[:length] for row, length in zip(encoded, lengths, strict=True)]


@every_family
def test_vectors_do_not_depend_on_the_batch(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = opened(family).eval()
    together = vectors(encoder, ROWS)
    monkeypatch.setattr(pretrained_encoder, "CPU_CHUNK_SUBWORDS", 1)
    for row, expected in zip(ROWS, together, strict=True):
        (alone,) = vectors(encoder, [row])
        assert alone.shape == (len(row), encoder.width)
        assert torch.allclose(alone, expected, atol=1e-5)
        assert alone.isfinite().all()


@every_family
def test_a_token_is_the_mean_of_its_sub_words_among_those_of_the_row(family: str) -> None:
    encoder = opened(family).eval()
    (found,) = vectors(encoder, [["Dr", " Ames", "31"]])
    subwords = encoder.tokenizer.split(["Dr"], starts_words=True)
    subwords += encoder.tokenizer.split([" Ames", "31"])
    before, after = encoder.tokenizer.special_ids
    ids = torch.tensor([[*before, *(id_ for some in subwords for id_ in some), *after]])
    states = encoder.network(input_ids=ids).last_hidden_state[0, len(before) : -len(after)]
    expected = [one.mean(0) for one in states.split([*map(len, subwords)])]
    assert torch.allclose(found, torch.stack(expected), atol=1e-5)


def test_a_token_without_sub_words_has_a_learned_vector() -> None:
    encoder = opened("bert")
    with torch.no_grad():
        encoder.missing.fill_(7.0)
    first, _, alone, _ = vectors(encoder, ROWS)
    assert (first[7] == 7).all()
    assert not (first[:6] == 7).any()
    assert (alone == 7).all()
    alone.sum().backward()  # type: ignore[no-untyped-call]
    assert encoder.missing.grad is not None
    assert (encoder.missing.grad == 1).all()


def test_every_weight_has_a_gradient_whatever_the_row() -> None:
    """Processes that train together wait for the gradients of all weights."""
    for row in (["\u200b"], ["Ames"]):
        encoder = opened("bert").train()
        vectors(encoder, [row])[0].sum().backward()  # type: ignore[no-untyped-call]
        assert [name for name, one in encoder.named_parameters() if one.grad is None] == []


@every_family
def test_long_rows_are_read_to_the_end(family: str) -> None:
    encoder = opened(family).eval()
    assert encoder.window == POSITIONS - 2
    row = ROWS[1]
    (found,) = vectors(encoder, [row])
    (other,) = vectors(encoder, [[*row[:-1], " Lee"]])
    assert torch.allclose(found[:20], other[:20], atol=1e-5)
    assert not torch.allclose(found[-1], other[-1], atol=1e-3)


@pytest.mark.parametrize(
    ("freeze", "trained"), [("none", {True}), ("embeddings", {True, False}), ("encoder", {False})]
)
def test_weights_can_be_frozen(freeze: str, trained: set[bool]) -> None:
    encoder = opened("bert")
    encoder.set_trained(freeze=freeze, gradient_checkpointing=False)  # type: ignore[arg-type]
    encoder.train()
    assert {weight.requires_grad for weight in encoder.network.parameters()} == trained
    words = encoder.network.get_parameter("embeddings.word_embeddings.weight")
    assert words.requires_grad == (freeze == "none")
    assert encoder.missing.requires_grad
    assert encoder.network.training == (freeze != "encoder")  # no dropout in a frozen network
    assert encoder.training


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"mpnet"}))
def test_gradient_checkpointing_changes_no_gradient(family: str) -> None:
    gradients = []
    for checkpointing in (False, True):
        encoder = opened(family)
        encoder.set_trained(freeze="none", gradient_checkpointing=checkpointing)
        encoder.train()
        torch.manual_seed(0)
        sum(one.square().sum() for one in vectors(encoder, ROWS)).backward()  # type: ignore[union-attr]
        gradients.append([weight.grad for weight in encoder.network.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert one is not None
        assert other is not None
        assert torch.allclose(one, other, atol=1e-4)


def test_gradient_checkpointing_is_refused_where_transformers_lacks_it() -> None:
    with pytest.raises(EncoderError) as raised:
        opened("mpnet").set_trained(freeze="none", gradient_checkpointing=True)
    assert str(raised.value) == (
        "mpnet encoders do not support gradient checkpointing. Leave --gradient-checkpointing off; "
        "--micro-batch-tokens saves memory, too."
    )


@every_family
def test_the_first_layers_can_be_used(family: str) -> None:
    whole, half = opened(family).eval(), opened(family, layers=1).eval()
    assert (len(whole.layers()), len(half.layers())) == (2, 1)
    assert half.record.layers == 1
    assert not torch.equal(vectors(whole, ROWS)[0], vectors(half, ROWS)[0])


def test_an_encoder_of_too_few_positions_is_refused(tmp_path: Path) -> None:
    folder = write_encoder_folder("modernbert", tmp_path / "short")
    change_config(folder, max_position_embeddings=5)
    with pytest.raises(EncoderError) as raised:
        open_encoder(folder)
    assert str(raised.value) == (
        "--encoder short: it reads 5 positions at a time, too few to hold a word. Give another "
        "encoder."
    )
