"""Language modelling by a tagger, against a plain computation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from annoseq.config import NetworkConfig, TaggerConfig, TrainingConfig
from annoseq.errors import OptionError
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.tagger_tokenizer import TaggerEncoding
from annoseq.tokenization.vocabulary import END, UNKNOWN
from annoseq.training.initialization import initialize_model
from annoseq.training.language_modelling import build_language_model_head
from annoseq.training.learner import Learner
from annoseq.training.resources import Resources
from tests.encoders import encoder_folder

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.language_modelling import LanguageModelHead

TINY_TAGGER = TaggerConfig(hidden=8, embedding=8, buckets=1024, dropout=0, word_dropout=0)
WORDS = ["The", " dog", " saw", " the", " cat", " and", " ran", " once"]


def make_head(*, words: int = 100) -> tuple[LanguageModelHead, list[int]]:
    """Return the head of a row that occurs three times, but for its last token, and its ids."""
    hasher = FeatureHasher(buckets=1024)
    ids = hasher.token_ids(WORDS)
    rows = [TaggerEncoding(ids[:-1], []), TaggerEncoding(ids[:-1], []), TaggerEncoding(ids, [])]
    return build_language_model_head(rows, hasher, hidden=8, words=words, seed=1), ids


def test_words_are_numbered_by_their_count() -> None:
    head, ids = make_head()
    the, *others = head.numbers.tolist()
    assert the == others[2] == END + 1  # six times, in upper and lower case
    assert [others[place] for place in (4, 3, 0, 5, 1)] == list(range(END + 2, END + 7))
    assert others[6] == UNKNOWN  # once
    few, _ = make_head(words=4)
    assert few.numbers.tolist() == [
        *(END + 1, END + 4, UNKNOWN, END + 1, END + 3, END + 2, UNKNOWN, UNKNOWN)
    ]
    assert few.ahead.output.n_classes == END + 5
    assert len(ids) == len(WORDS)


def test_the_loss_is_that_of_the_words_beside_each_token() -> None:
    head, ids = make_head()
    rows = torch.tensor([ids, [*ids[:3], 0, 0, 0, 0, 0]])
    lengths = torch.tensor([8, 3])
    encoded = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0))
    expected, hits = 0.0, 0
    numbers = head.numbers.tolist()
    for row, length in enumerate(lengths.tolist()):
        words = [END, *(numbers[id_] for id_ in rows[row, :length].tolist()), END]
        for place in range(length):
            sides = ((head.ahead, slice(8), place + 2), (head.behind, slice(8, 16), place))
            for predictor, part, beside in sides:
                scores = predictor.output.log_prob(predictor(encoded[row, place : place + 1, part]))
                assert scores.exp().sum().item() == pytest.approx(1, rel=1e-5)
                expected -= scores[0, words[beside]].item() / 2
                hits += int(scores.argmax()) == words[beside]
    assert head.loss(encoded, rows, lengths).item() == pytest.approx(expected, rel=1e-5)
    assert head.count_hits(encoded, rows, lengths) == hits


def test_words_are_predicted_in_half_precision() -> None:
    head, ids = make_head()
    rows, lengths = torch.tensor([ids]), torch.tensor([8])
    encoded = torch.randn(1, 8, 16, generator=torch.Generator().manual_seed(0))
    exact = head.loss(encoded, rows, lengths).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = head.loss(encoded.bfloat16(), rows, lengths)
        hits = head.count_hits(encoded.bfloat16(), rows, lengths)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact, rel=0.02)
    assert hits == head.count_hits(encoded, rows, lengths)


def test_it_is_a_part_of_the_loss_in_training_alone(dataset: Dataset) -> None:
    network = NetworkConfig.of(TINY_TAGGER)

    def losses(weight: float) -> list[float]:
        training = TrainingConfig(lm_weight=weight)
        objective: Any = initialize_model(
            dataset,
            network,
            training,
            base=None,
            resources=Resources(),
        ).objective
        batch = objective.collate([0, 1], objective.train_rows)
        return [
            objective.train(mode=mode)(batch, forcing=1.0).total.item() for mode in (True, False)
        ]

    (plain, alone), (half, _), (whole, still) = losses(0.0), losses(0.4), losses(0.8)
    assert plain == pytest.approx(alone)
    assert still == alone
    assert whole - plain == pytest.approx(2 * (half - plain), rel=1e-4)
    assert half > plain + 1


def test_a_learner_goes_on_with_the_same_predictors(dataset: Dataset, tmp_path: Path) -> None:
    def learner() -> Learner:
        training = TrainingConfig(lm_weight=0.1, epochs=2)
        return Learner(dataset, model=TINY_TAGGER, training=training, device="cpu")

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    whole, cut, resumed = learner(), learner(), learner()
    whole.fit_one_cycle(report=lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        cut.fit_one_cycle(checkpoint=tmp_path / "c", report=lambda _: None, after_epoch=stop)
    resumed.fit_one_cycle(checkpoint=tmp_path / "c", resume=True, report=lambda _: None)
    expected = whole.network.state_dict()
    for name, weights in resumed.network.state_dict().items():
        assert torch.equal(weights, expected[name]), name


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            TaggerConfig(encoder="convolution"),
            "--lm-weight needs an LSTM of one layer, which reads a text in one direction at a "
            "time. Leave --tagger.encoder and --tagger.layers off.",
        ),
        ("gru", "--lm-weight is for the tagger, and the model is gru. Leave --lm-weight off."),
    ],
)
def test_other_networks_do_not_model_language(
    dataset: Dataset, model: TaggerConfig | str, message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        Learner(dataset, model=model, training=TrainingConfig(lm_weight=0.1))  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_an_encoder_has_read_the_words_to_predict(dataset: Dataset) -> None:
    with pytest.raises(OptionError) as caught:
        Learner(
            dataset, training=TrainingConfig(lm_weight=0.1), encoder=str(encoder_folder("bert"))
        )
    assert str(caught.value) == (
        "--lm-weight asks for the next word and the one before, and a pre-trained encoder has read "
        "both. Leave --lm-weight or --encoder off."
    )
