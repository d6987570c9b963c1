"""An interrupted training, resumed, ends as if it had never been interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.config import BatchConfig, DataConfig, TrainingConfig
from annoseq.errors import OptionError, OutputError, TrainingError
from annoseq.tokenization.dataset import Dataset
from annoseq.training.learner import Learner
from tests.tiny import TINY, TINY_ATTENTION, same_weights, tiny_learner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from annoseq.data.pairs import Pairs


class Interruption:
    """A report that stops training as Ctrl-C does, after `epochs` of them."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs + 1  # the heading is reported too

    def __call__(self, line: str) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def silent(line: str) -> None:
    pass


def begin(learner: Learner, checkpoint: Path, *, until: int = 2) -> None:
    with pytest.raises(KeyboardInterrupt):
        learner.fit_one_cycle(4, 1e-2, checkpoint=checkpoint, report=Interruption(until))


def table(learner: Learner) -> list[tuple[float, ...]]:
    """Return the epochs without their times."""
    return [
        (row.epoch, row.train_loss, row.valid_loss, *row.scores.values())
        for row in learner.recorder.epochs
    ]


FALLING = TrainingConfig(teacher_forcing="falling", label_smoothing=0.1)


@pytest.mark.parametrize("until", [1, 3])
def test_attention_under_falling_forcing_ends_as_if_it_had_not_been_interrupted(
    dataset: Dataset, tmp_path: Path, until: int
) -> None:
    whole, interrupted, resumed = (
        tiny_learner(dataset, model=TINY_ATTENTION, training=FALLING) for _ in range(3)
    )
    whole.fit_one_cycle(4, 1e-2, report=silent)
    begin(interrupted, tmp_path / "m.training", until=until)
    resumed.fit_one_cycle(4, 1e-2, checkpoint=tmp_path / "m.training", resume=True, report=silent)
    assert same_weights(resumed.network, whole.network)
    assert table(resumed) == table(whole)
    assert resumed.recorder.losses == whole.recorder.losses


@pytest.fixture(scope="module")
def uninterrupted(dataset: Dataset) -> Learner:
    learner = tiny_learner(dataset)
    learner.fit_one_cycle(4, 1e-2, report=silent)
    return learner


@pytest.mark.parametrize("until", [1, 2, 4])
def test_it_ends_as_if_it_had_not_been_interrupted(
    dataset: Dataset, tmp_path: Path, uninterrupted: Learner, until: int
) -> None:
    begin(tiny_learner(dataset), tmp_path / "m.training", until=until)
    resumed = tiny_learner(dataset)
    lines: list[str] = []
    resumed.fit_one_cycle(
        4, 1e-2, checkpoint=tmp_path / "m.training", resume=True, report=lines.append
    )
    assert same_weights(resumed.network, uninterrupted.network)
    assert table(resumed) == table(uninterrupted)
    assert resumed.recorder.rates == uninterrupted.recorder.rates
    assert resumed.recorder.losses == uninterrupted.recorder.losses
    assert resumed.epochs == 4
    assert lines[1:] == [str(row) for row in resumed.recorder.epochs]


def test_an_epoch_that_was_reported_is_not_trained_again(dataset: Dataset, tmp_path: Path) -> None:
    begin(tiny_learner(dataset), tmp_path / "m.training", until=2)
    resumed = tiny_learner(dataset)
    seen: list[int] = []

    def report(line: str) -> None:
        seen.append(resumed.epochs)

    resumed.fit_one_cycle(4, 1e-2, checkpoint=tmp_path / "m.training", resume=True, report=report)
    assert seen == [0, 2, 2, 3, 4]


def test_a_checkpoint_does_not_change_the_run(
    dataset: Dataset, tmp_path: Path, uninterrupted: Learner
) -> None:
    learner = tiny_learner(dataset)
    learner.fit_one_cycle(4, 1e-2, checkpoint=tmp_path / "m.training", report=silent)
    assert same_weights(learner.network, uninterrupted.network)


def test_more_epochs_can_be_interrupted_too(dataset: Dataset, tmp_path: Path) -> None:
    """The second cycle goes on from the first one's weights, table and randomness."""
    whole, resumed = tiny_learner(dataset), tiny_learner(dataset)
    for learner in (whole, resumed):
        learner.fit_one_cycle(1, 1e-2, report=silent)
    whole.fit_one_cycle(4, 1e-2, report=silent)
    interrupted = tiny_learner(dataset)
    interrupted.fit_one_cycle(1, 1e-2, report=silent)
    begin(interrupted, tmp_path / "m.training")
    resumed.fit_one_cycle(4, 1e-2, checkpoint=tmp_path / "m.training", resume=True, report=silent)
    assert same_weights(resumed.network, whole.network)
    assert table(resumed) == table(whole)
    assert resumed.epochs == 5


def other_width(dataset: Dataset) -> Learner:
    return tiny_learner(dataset, model=TINY.model_copy(update={"hidden": 8}))


def other_network(dataset: Dataset) -> Learner:
    return tiny_learner(dataset, model=TINY_ATTENTION)


def other_seed(dataset: Dataset) -> Learner:
    return tiny_learner(dataset, seed=1)


def other_decay(dataset: Dataset) -> Learner:
    return tiny_learner(dataset, training=TrainingConfig(weight_decay=0.5))


def other_forcing(dataset: Dataset) -> Learner:
    return tiny_learner(dataset, training=TrainingConfig(teacher_forcing="falling"))


def other_loss(dataset: Dataset) -> Learner:
    return tiny_learner(dataset, training=TrainingConfig(loss="token"))


def other_patience(dataset: Dataset) -> Learner:
    return tiny_learner(dataset, training=TrainingConfig(early_stopping=3))


def other_keep(dataset: Dataset) -> Learner:
    return tiny_learner(dataset, training=TrainingConfig(keep="last"))


def other_batches(dataset: Dataset) -> Learner:
    return Learner(dataset, model=TINY, batching=BatchConfig(batch_size=3))


def further_epochs(dataset: Dataset) -> Learner:
    learner = tiny_learner(dataset)
    learner.epochs = 3
    return learner


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (other_width, "gru.hidden 16, and now it is 8. "),
        (other_network, "model gru, and now it is attention. "),
        (other_seed, "seed 42, and now it is 1. "),
        (other_decay, "weight_decay 0.01, and now it is 0.5. "),
        (other_forcing, "teacher_forcing 0.0, and now it is falling. "),
        (other_loss, "loss padded, and now it is token. "),
        (other_patience, "early_stopping 0, and now it is 3. "),
        (other_keep, "keep best, and now it is last. "),
        (other_batches, "batch_size 16, and now it is 3. "),
        (further_epochs, "epochs trained before 0, and now it is 3. "),
    ],
)
def test_other_settings_are_refused(
    dataset: Dataset, tmp_path: Path, make: Callable[[Dataset], Learner], named: str
) -> None:
    path = tmp_path / "m.training"
    begin(tiny_learner(dataset), path, until=1)
    assert refusal(make(dataset), path).startswith(f"{path} was begun with {named}")


def refusal(learner: Learner, path: Path, *, epochs: int = 4, max_lr: float = 1e-2) -> str:
    with pytest.raises(TrainingError) as caught:
        learner.fit_one_cycle(epochs, max_lr, checkpoint=path, resume=True, report=silent)
    message = str(caught.value)
    assert message.endswith(
        ". Resume with the same data and options, or delete it and start again."
    )
    return message


def test_other_epochs_or_another_rate_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "m.training"
    begin(tiny_learner(dataset), path, until=1)
    learner = tiny_learner(dataset)
    assert f"{path} was begun with epochs 4, and now it is 5" in refusal(learner, path, epochs=5)
    assert "max_lr 0.01, and now it is 0.1" in refusal(learner, path, max_lr=0.1)


@pytest.mark.parametrize(
    ("rows", "config", "named"),
    [
        (slice(0, 59), DataConfig(), "pairs "),
        (slice(None), DataConfig(valid_share=0.5), "valid_share 0.2, and now it is 0.5. "),
        (slice(None), DataConfig(split_seed=1), "split_seed 42, and now it is 1. "),
    ],
)
def test_other_data_are_refused(
    sample: Pairs, tmp_path: Path, rows: slice, config: DataConfig, named: str
) -> None:
    path = tmp_path / "m.training"
    begin(tiny_learner(Dataset.from_pairs(sample)), path, until=1)
    others = Dataset.from_pairs(sample[rows], config=config)
    assert refusal(tiny_learner(others), path).startswith(f"{path} was begun with {named}")


def test_other_validation_rows_are_refused(sample: Pairs, tmp_path: Path) -> None:
    path = tmp_path / "m.training"
    train, valid, other = sample[:40], sample[40:50], sample[50:60]
    begin(tiny_learner(Dataset.from_pairs(train, valid=valid)), path, until=1)
    learner = tiny_learner(Dataset.from_pairs(train, valid=other))
    assert refusal(learner, path).startswith(f"{path} was begun with validation pairs ")


def test_there_is_nothing_to_resume(dataset: Dataset, tmp_path: Path) -> None:
    learner, path = tiny_learner(dataset), tmp_path / "m.training"
    with pytest.raises(TrainingError) as caught:
        learner.fit_one_cycle(4, checkpoint=path, resume=True, report=silent)
    assert str(caught.value) == (
        f"there is no interrupted training at {path}. Start without --resume."
    )
    with pytest.raises(OptionError) as refused:
        learner.fit_one_cycle(4, resume=True, report=silent)
    assert str(refused.value) == (
        "resume needs a checkpoint. Give the path that it was written to."
    )
    assert learner.epochs == 0


def test_a_damaged_checkpoint_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "m.training"
    begin(tiny_learner(dataset), path, until=1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TrainingError) as caught:
        tiny_learner(dataset).fit_one_cycle(4, 1e-2, checkpoint=path, resume=True, report=silent)
    assert str(caught.value) == (
        f"{path} is damaged and cannot be resumed. Delete it and start without --resume."
    )


def test_a_checkpoint_that_cannot_be_written_fails_before_training(
    dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    learner, path = tiny_learner(dataset), tmp_path / "file" / "m.training"
    with pytest.raises(OutputError) as caught:
        learner.fit_one_cycle(1, checkpoint=path, report=silent)
    assert str(caught.value).startswith(f"{path} cannot be written: ")
    assert learner.epochs == 0
