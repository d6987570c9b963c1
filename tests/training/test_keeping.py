"""Early stopping, and whose weights are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from annoseq.config import TrainingConfig
from annoseq.evaluation.token_accuracy import Accuracy, Ratio
from annoseq.models.gru import Gru
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization.dataset import PreparedEncodings
from annoseq.training.learner import Learner
from tests.tiny import BATCHING, TINY, same_weights, tiny_learner, tiny_network

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from annoseq.tokenization.dataset import Dataset


RISING_AND_FALLING = [0.10, 0.30, 0.20, 0.25, 0.30, 0.40, 0.05, 0.05]


@pytest.fixture(scope="module")
def dataset(dataset: Dataset) -> Dataset:
    """Ten training rows, a batch an epoch: most scores here are those of a script."""
    return replace(dataset, train=dataset.train[:10], encoded=PreparedEncodings(dataset.tokenizer))


class ScriptedLearner(Learner):
    """Learns as any other, and is said to be as good as a script has it, epoch by epoch.

    It remembers the weights of every epoch that it trained.
    """

    def __init__(self, dataset: Dataset, script: list[float], **training: Any) -> None:
        config = TrainingConfig(**training)
        super().__init__(dataset, model=TINY, training=config, batching=BATCHING)
        self.script = script
        self.weights: dict[int, dict[str, torch.Tensor]] = {}

    def validate(self) -> tuple[float, Accuracy]:
        state = self.network.state_dict()
        self.weights[self.epochs] = {name: one.clone() for name, one in state.items()}
        return 1.0, Accuracy(token=Ratio(round(100 * self.script[self.epochs - 1]), 100))

    def has_weights_of(self, epoch: int) -> bool:
        ours = self.network.state_dict()
        return all(torch.equal(one, ours[name]) for name, one in self.weights[epoch].items())

    def run(self, epochs: int = 6, **options: Any) -> list[str]:
        """Train; return what was reported after the heading, without the rows of the table."""
        lines: list[str] = []
        self.fit_one_cycle(epochs, 1e-2, report=lines.append, **options)
        return [line for line in lines[1:] if not line.startswith("   ")]


def interrupt(learner: ScriptedLearner, checkpoint: Path, *, until: int) -> None:
    def report(line: str) -> None:
        if line.startswith(f"{until:5d} "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner.fit_one_cycle(6, 1e-2, checkpoint=checkpoint, report=report)
    assert learner.epochs == until


def as_network(weights: dict[str, torch.Tensor], learner: Learner) -> nn.Module:
    """Return the weights of an epoch as a network."""
    other: nn.Module = tiny_learner(learner.dataset).network
    other.load_state_dict(weights)
    return other


@pytest.mark.parametrize(
    ("script", "epochs", "best"),
    [
        ([0.3, 0.2, 0.1], 3, 1),
        ([0.1, 0.3, 0.2], 3, 2),
        ([0.1, 0.3, 0.3], 3, 2),  # of equals the first
        ([0.0, 0.0, 0.0], 3, 1),
        (RISING_AND_FALLING, 8, 6),
    ],
)
def test_the_weights_of_the_best_epoch_are_kept(
    dataset: Dataset, script: list[float], epochs: int, best: int
) -> None:
    learner = ScriptedLearner(dataset, script)
    assert learner.config.keep == "best"
    assert learner.run(epochs) == [f"kept the weights of epoch {best}"]
    assert learner.has_weights_of(best)
    assert not learner.has_weights_of(epochs)
    assert learner.epochs == epochs
    assert isinstance(learner.network, Gru)
    target = learner.network.target
    assert target.output.weight is target.embedding.weight


def test_where_the_last_is_the_best_nothing_is_said(dataset: Dataset) -> None:
    learner = ScriptedLearner(dataset, [0.1, 0.2, 0.3])
    assert learner.run(3) == []
    assert learner.has_weights_of(3)


def test_the_last_are_kept_when_asked(dataset: Dataset) -> None:
    learner = ScriptedLearner(dataset, [0.3, 0.2, 0.1], keep="last")
    assert learner.run(3) == []
    assert learner.has_weights_of(3)


def test_what_is_kept_is_what_is_saved_and_told_of(dataset: Dataset, tmp_path: Path) -> None:
    learner = ScriptedLearner(dataset, [0.11, 0.33, 0.22])
    learner.run(3)
    learner.save(tmp_path / "model")
    saved = TrainedModel.load(tmp_path / "model")
    assert same_weights(saved.network, as_network(learner.weights[2], learner))
    assert saved.config.epochs == 3
    card = (tmp_path / "model" / "card.md").read_text(encoding="utf-8")
    assert "## Validation after epoch 2\n" in card
    assert card.endswith("| 0.0000 | 0.3300 | 0.0000 |\n")


def test_a_real_run_keeps_what_it_measured_as_best(dataset: Dataset) -> None:
    """At so high a rate later epochs spoil what earlier ones have learned."""
    training = TrainingConfig(loss="token")
    learner = tiny_learner(dataset, training=training)
    learner.fit_one_cycle(6, 0.3, report=lambda line: None)
    rows = learner.recorder.epochs
    best = max(rows, key=lambda row: row.score)
    assert best.epoch < 6
    loss, accuracy = learner.validate()
    assert isinstance(accuracy, Accuracy)
    assert (accuracy.token.value, loss) == (best.score, best.valid_loss)


@pytest.fixture(scope="module")
def whole(dataset: Dataset) -> ScriptedLearner:
    """A run that was not interrupted."""
    learner = ScriptedLearner(dataset, [0.1, 0.4, 0.2, 0.3, 0.4, 0.1])
    assert learner.run() == ["kept the weights of epoch 2"]
    return learner


@pytest.mark.parametrize("until", [1, 2, 3, 5, 6])
def test_the_best_survives_an_interruption(
    dataset: Dataset, tmp_path: Path, whole: ScriptedLearner, until: int
) -> None:
    path = tmp_path / "m.training"
    interrupt(ScriptedLearner(dataset, whole.script), path, until=until)
    resumed = ScriptedLearner(dataset, whole.script)
    assert resumed.run(checkpoint=path, resume=True) == ["kept the weights of epoch 2"]
    assert same_weights(resumed.network, whole.network)
    assert sorted(resumed.weights) == list(range(until + 1, 7))


@pytest.mark.parametrize(
    ("patience", "stops_after", "best"), [(1, 3, 2), (2, 4, 2), (3, 5, 2), (4, 8, 6), (0, 8, 6)]
)
def test_training_stops_when_it_has_not_got_better_for_long_enough(
    dataset: Dataset, patience: int, stops_after: int, best: int
) -> None:
    learner = ScriptedLearner(dataset, RISING_AND_FALLING, early_stopping=patience)
    lines = learner.run(8)
    kept = f"kept the weights of epoch {best}"
    stopped = f"stopped: no better token accuracy since epoch {best}"
    assert lines == ([stopped] if stops_after < 8 else []) + [kept]
    assert learner.epochs == len(learner.recorder.epochs) == stops_after
    assert learner.has_weights_of(best)


def test_stopping_early_does_not_decide_whose_weights_are_kept(dataset: Dataset) -> None:
    learner = ScriptedLearner(dataset, RISING_AND_FALLING, early_stopping=2, keep="last")
    assert learner.run(8) == ["stopped: no better token accuracy since epoch 2"]
    assert learner.epochs == 4
    assert learner.has_weights_of(4)


def test_until_it_stops_a_run_is_the_run_that_does_not(dataset: Dataset) -> None:
    whole = ScriptedLearner(dataset, RISING_AND_FALLING)
    stopped = ScriptedLearner(dataset, RISING_AND_FALLING, early_stopping=1)
    whole.run(8)
    stopped.run(8)
    rates = stopped.recorder.rates
    assert rates == whole.recorder.rates[: len(rates)]
    assert same_weights(
        as_network(stopped.weights[3], stopped), as_network(whole.weights[3], whole)
    )


@pytest.mark.parametrize("until", [1, 3, 4])
def test_patience_survives_an_interruption(dataset: Dataset, tmp_path: Path, until: int) -> None:
    """Also where the run was over but for its last words."""
    script, path = [0.1, 0.4, 0.2, 0.3, 0.5, 0.6], tmp_path / "m.training"
    interrupt(ScriptedLearner(dataset, script, early_stopping=2), path, until=until)
    resumed = ScriptedLearner(dataset, script, early_stopping=2)
    assert resumed.run(checkpoint=path, resume=True) == [
        "stopped: no better token accuracy since epoch 2",
        "kept the weights of epoch 2",
    ]
    assert resumed.epochs == 4
    whole = ScriptedLearner(dataset, script, early_stopping=2)
    whole.run()
    assert same_weights(resumed.network, whole.network)


def test_a_second_cycle_looks_for_a_best_of_its_own(dataset: Dataset) -> None:
    """The first cycle's best was at the end of that cycle; the second starts from its weights."""
    script = [0.9, 0.1, 0.1, 0.1, 0.3, 0.2, 0.2, 0.2]
    learner = ScriptedLearner(dataset, script, early_stopping=2)
    assert learner.run(2) == ["kept the weights of epoch 1"]
    assert learner.run(6) == [
        "stopped: no better token accuracy since epoch 5",
        "kept the weights of epoch 5",
    ]
    assert learner.epochs == 7


def test_a_fresh_network_is_not_stale(dataset: Dataset) -> None:
    learner = ScriptedLearner(dataset, [0.0], early_stopping=1)
    assert learner.run(1) == []
    assert learner.epochs == 1
    assert not same_weights(learner.network, tiny_network())
