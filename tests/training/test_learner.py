from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
import torch

from annoseq.config import AttentionConfig, BatchConfig, DataConfig, GruConfig, TrainingConfig
from annoseq.data.pairs import Pairs
from annoseq.errors import (
    DatasetError,
    ModelError,
    OptionError,
    OutputError,
    TrainingError,
    count_noun,
)
from annoseq.evaluation.token_accuracy import Accuracy
from annoseq.models.gru import Gru
from annoseq.models.serialization import TrainedModel
from annoseq.sample import sample_pairs
from annoseq.tokenization.dataset import Dataset
from annoseq.training.learner import Learner
from annoseq.training.recorder import Epoch
from tests.tiny import (
    BATCHING,
    STILL,
    STILL_ATTENTION,
    TINY,
    TINY_ATTENTION,
    same_weights,
    tiny_learner,
)

if TYPE_CHECKING:
    from pathlib import Path


def fit(learner: Learner, epochs: int = 2) -> list[str]:
    """Train at a high rate; return what was reported."""
    lines: list[str] = []
    learner.fit_one_cycle(epochs, 1e-2, report=lines.append)
    return lines


def figures(learner: Learner) -> list[tuple[float, ...]]:
    """Return the table of epochs without the times."""
    return [
        (row.epoch, row.train_loss, row.valid_loss, *row.scores.values())
        for row in learner.recorder.epochs
    ]


def test_the_same_seed_gives_the_same_run(dataset: Dataset) -> None:
    one, other = tiny_learner(dataset), tiny_learner(dataset)
    fit(one)
    fit(other)
    assert same_weights(one.network, other.network)
    assert figures(one) == figures(other)
    assert one.recorder.losses == other.recorder.losses
    another = tiny_learner(dataset, seed=1)
    fit(another)
    assert not same_weights(one.network, another.network)


def test_a_fresh_learner_is_fresh(dataset: Dataset) -> None:
    before = tiny_learner(dataset)
    trained = tiny_learner(dataset)
    fit(trained)
    assert not same_weights(trained.network, before.network)
    assert same_weights(tiny_learner(dataset).network, before.network)
    assert tiny_learner(dataset).epochs == 0


def test_what_others_draw_is_not_disturbed_and_does_not_disturb(dataset: Dataset) -> None:
    undisturbed = tiny_learner(dataset)
    fit(undisturbed)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    learner = tiny_learner(dataset)
    learner.lr_find(steps=3)
    fit(learner)
    learner.predictions()
    assert torch.equal(torch.get_rng_state(), before)
    assert same_weights(learner.network, undisturbed.network)


def test_reports_are_the_heading_and_a_row_for_each_epoch(dataset: Dataset) -> None:
    learner = tiny_learner(dataset, training=TrainingConfig(keep="last"))
    lines = fit(learner)
    assert lines == [Epoch.header(learner.recorder.names), *map(str, learner.recorder.epochs)]
    assert [row.epoch for row in learner.recorder.epochs] == [1, 2]


def test_a_row_of_the_table_tells_the_truth(dataset: Dataset) -> None:
    learner = tiny_learner(dataset)
    fit(learner, 1)
    (row,) = learner.recorder.epochs
    loss, accuracy = learner.validate()
    assert isinstance(accuracy, Accuracy)
    assert (row.valid_loss, row.score) == (loss, accuracy.token.value)
    assert row.scores == accuracy.values()
    assert row.train_loss == pytest.approx(
        sum(learner.recorder.losses) / len(learner.recorder.losses)
    )
    assert row.pairs_per_second > 0
    assert len(dataset.train) / row.pairs_per_second <= row.time


def test_training_lowers_the_loss(dataset: Dataset) -> None:
    learner = tiny_learner(dataset)
    fit(learner, 4)
    first, *_, last = learner.recorder.epochs
    assert last.train_loss < first.train_loss
    assert last.valid_loss < first.valid_loss


def test_more_epochs_after_epochs(dataset: Dataset) -> None:
    learner = tiny_learner(dataset)
    fit(learner)
    once = tiny_learner(dataset)
    fit(once)
    assert same_weights(learner.network, once.network)
    fit(learner)
    assert learner.epochs == 4
    assert [row.epoch for row in learner.recorder.epochs] == [1, 2, 3, 4]
    steps = len(learner.recorder.rates) // 2
    assert learner.recorder.rates[:steps] == learner.recorder.rates[steps:]
    assert not same_weights(learner.network, once.network)


def test_a_saved_model_goes_on_as_it_would_have(dataset: Dataset, tmp_path: Path) -> None:
    """Without dropout a run depends on weights and order only: the second two epochs have an
    order of their own, also when a learner is loaded in between.
    """
    at_once = tiny_learner(dataset, model=STILL)
    fit(at_once)
    at_once.save(tmp_path / "model")
    loaded = Learner.load(tmp_path / "model", dataset)
    assert same_weights(loaded.network, at_once.network)
    assert (loaded.epochs, loaded.batching) == (2, BATCHING)
    assert (loaded.model_config, loaded.config) == (at_once.model_config, at_once.config)
    assert loaded.model_config.selected == STILL
    fit(at_once)
    fit(loaded)
    assert loaded.epochs == 4
    assert same_weights(loaded.network, at_once.network)
    assert loaded.recorder.losses == at_once.recorder.losses[len(loaded.recorder.losses) :]


def test_the_base_model_is_not_trained_itself(trained: TrainedModel, dataset: Dataset) -> None:
    learner = Learner(dataset, base=trained)
    assert same_weights(learner.network, trained.network)
    fit(learner, 1)
    assert not same_weights(learner.network, trained.network)
    assert learner.epochs == 3


def test_a_base_with_other_vocabularies_is_refused(trained: TrainedModel) -> None:
    others = Dataset.from_pairs(Pairs(sample_pairs(30, seed=9), name="others"))
    with pytest.raises(DatasetError) as caught:
        Learner(others, base=trained)
    assert str(caught.value) == (
        "the data were prepared with other vocabularies than the model's. "
        "Give the table of pairs, so that it is prepared with the model's own."
    )


def test_settings_come_from_the_base_unless_they_are_given(
    trained: TrainedModel, dataset: Dataset
) -> None:
    assert Learner(dataset, base=trained).config == trained.config.training
    training, batching = TrainingConfig(seed=7), BatchConfig(batch_size=3)
    learner = Learner(dataset, base=trained, training=training, batching=batching)
    assert learner.config == training.resolve_auto(model="gru", rows=len(dataset.train))
    assert (learner.batching, learner.model_config.selected) == (batching, TINY)


def test_what_is_left_open_is_settled_by_the_network(dataset: Dataset) -> None:
    for model, forcing, loss in ((TINY, 0.0, "padded"), (TINY_ATTENTION, 1.0, "token")):
        config = tiny_learner(dataset, model=model).config
        assert (config.teacher_forcing, config.loss) == (forcing, loss)
    training = TrainingConfig(teacher_forcing="falling", loss="padded")
    config = tiny_learner(dataset, model=TINY_ATTENTION, training=training).config
    assert (config.teacher_forcing, config.loss) == ("falling", "padded")


@pytest.mark.parametrize("teacher_forcing", [0.0, 0.5, 1.0, "falling"])
def test_attention_trains_with_any_forcing(
    dataset: Dataset, teacher_forcing: float | Literal["falling"]
) -> None:
    training = TrainingConfig(teacher_forcing=teacher_forcing, label_smoothing=0.1, keep="last")
    learner, again = (
        tiny_learner(dataset, model=TINY_ATTENTION, training=training) for _ in range(2)
    )
    fit(learner, 4)
    fit(again, 4)
    assert same_weights(learner.network, again.network)
    first, *_, last = learner.recorder.epochs
    # Falling, the first epoch is fed the target and the last its own output, which is harder.
    assert teacher_forcing == "falling" or last.train_loss < first.train_loss
    assert len(learner.predictions()) == len(dataset.valid)


def test_attention_goes_on_after_it_was_saved(dataset: Dataset, tmp_path: Path) -> None:
    at_once = tiny_learner(dataset, model=STILL_ATTENTION)
    fit(at_once)
    at_once.save(tmp_path / "model")
    loaded = Learner.load(tmp_path / "model", dataset)
    assert loaded.config == at_once.config
    fit(at_once)
    fit(loaded)
    assert same_weights(loaded.network, at_once.network)


def test_epochs_and_rate_default_to_the_settings(dataset: Dataset) -> None:
    training = TrainingConfig(epochs=2, max_lr=0.03)
    learner = Learner(dataset, model=TINY, training=training, batching=BatchConfig(batch_size=8))
    learner.fit_one_cycle(report=lambda line: None)
    assert learner.epochs == 2
    assert learner.recorder.rates[0] == pytest.approx(0.03 / 25)


@pytest.mark.parametrize(("epochs", "rate"), [(0, 1e-3), (-1, 1e-3), (1, 0.0), (1, -1.0)])
def test_no_epoch_or_no_rate_is_refused(dataset: Dataset, epochs: int, rate: float) -> None:
    with pytest.raises(OptionError) as caught:
        tiny_learner(dataset).fit_one_cycle(epochs, rate, report=lambda line: None)
    assert str(caught.value) == (
        f"asked for {count_noun(epochs, 'epoch')} at a rate of {rate}. "
        "Give at least 1 epoch, and a rate above 0."
    )


def test_a_loss_that_is_no_number_ends_training(dataset: Dataset, tmp_path: Path) -> None:
    learner = tiny_learner(dataset)
    checkpoint = tmp_path / "m.training"
    with pytest.raises(TrainingError) as caught:
        learner.fit_one_cycle(3, 1e38, checkpoint=checkpoint, report=lambda line: None)
    assert str(caught.value) == (
        "the loss is no longer a number in epoch 1. Train with "
        "a lower --max-lr, which `annoseq find-lr` suggests, or with --clip-norm 1 or less."
    )
    assert learner.recorder.epochs == []


def test_finding_a_rate_leaves_no_trace(dataset: Dataset) -> None:
    learner, other = tiny_learner(dataset), tiny_learner(dataset)
    finding = learner.lr_find(steps=12)
    assert same_weights(learner.network, other.network)
    assert learner.recorder.losses == []
    assert isinstance(learner.network, Gru)
    target = learner.network.target
    assert target.output.weight is target.embedding.weight
    fit(learner)
    fit(other)
    assert same_weights(learner.network, other.network)
    assert figures(learner) == figures(other)
    assert finding.rates[0] == 1e-7
    assert finding.rates[-1] <= 10.000001
    assert len(finding.rates) == len(finding.losses) <= 12
    assert finding.suggestion in finding.rates


def test_finding_a_rate_twice_gives_the_same(dataset: Dataset) -> None:
    learner = tiny_learner(dataset)
    assert learner.lr_find(steps=4) == learner.lr_find(steps=4)


def test_rates_grow_exponentially(dataset: Dataset) -> None:
    finding = tiny_learner(dataset).lr_find(start_lr=1e-6, end_lr=1e-3, steps=4)
    assert finding.rates == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3])


@pytest.mark.parametrize(
    ("start", "end", "steps"), [(1e-7, 10.0, 1), (0.0, 10.0, 5), (1.0, 1.0, 5), (2.0, 1.0, 5)]
)
def test_a_range_that_is_none_is_refused(
    dataset: Dataset, start: float, end: float, steps: int
) -> None:
    with pytest.raises(OptionError) as caught:
        tiny_learner(dataset).lr_find(start_lr=start, end_lr=end, steps=steps)
    assert str(caught.value) == (
        f"a range test of {count_noun(steps, 'step')} from {start} to {end} was asked for. "
        "Give at least 2 steps, and rates that grow from above 0."
    )


def test_a_range_test_that_diverges_at_once_is_an_error(dataset: Dataset) -> None:
    learner, fresh = tiny_learner(dataset), tiny_learner(dataset)
    with pytest.raises(TrainingError) as caught:
        learner.lr_find(start_lr=1e6, end_lr=1e8, steps=5)
    assert str(caught.value) == (
        "the loss diverged at once, at a rate of 1000000.0. Start from a lower rate."
    )
    assert same_weights(learner.network, fresh.network)


def test_predictions_are_of_the_part_that_is_asked_for(dataset: Dataset) -> None:
    learner = tiny_learner(dataset)
    assert [one.row for one in learner.predictions()] == [p.row for p in dataset.valid]
    assert [one.row for one in learner.predictions("train")] == [p.row for p in dataset.train]


def test_results_are_shown(dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_learner(dataset).show_results(2)
    shown = capsys.readouterr().out
    rows = [str(pair.row) for pair in dataset.valid]
    assert all(f" {row} " in shown for row in rows[:2])
    assert f" {rows[2]} " not in shown


def test_a_saved_model_has_a_card(model_folder: Path, dataset: Dataset) -> None:
    card = (model_folder / "card.md").read_text(encoding="utf-8")
    assert f"- **training rows**: {len(dataset.train)}\n" in card
    assert f"- **data fingerprint**: {dataset.fingerprint}\n" in card
    assert "- **network**: gru, 2 epochs\n" in card
    assert "## Validation after epoch " in card
    assert not any(pair.source in card for pair in dataset.train if len(pair.source) > 20)


def test_an_untrained_model_can_be_saved(dataset: Dataset, tmp_path: Path) -> None:
    learner = tiny_learner(dataset)
    learner.save(tmp_path / "model")
    assert "## Validation" not in (tmp_path / "model" / "card.md").read_text(encoding="utf-8")
    assert same_weights(TrainedModel.load(tmp_path / "model").network, learner.network)
    with pytest.raises(OutputError, match="exists already"):
        learner.save(tmp_path / "model")


def test_a_damaged_model_is_not_taken_up(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder"):
        Learner.load(tmp_path / "nowhere", dataset)


@pytest.mark.parametrize("layers", [1, 3])
def test_any_size_trains(dataset: Dataset, layers: int) -> None:
    for model in (
        GruConfig(embedding=6, hidden=10, layers=layers),
        AttentionConfig(embedding=6, hidden=10, layers=layers),
    ):
        learner = tiny_learner(dataset, model=model)
        fit(learner, 1)
        assert learner.epochs == 1


def test_two_rows_are_enough() -> None:
    pairs = Pairs(sample_pairs(2, seed=3), name="two")
    dataset = Dataset.from_pairs(pairs, config=DataConfig(split_by="row", min_frequency=1))
    learner = tiny_learner(dataset)
    fit(learner, 1)
    assert len(learner.predictions()) == 1
