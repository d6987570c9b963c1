from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Never

import pytest

from annoseq.errors import OptionError, TrainingError
from annoseq.models.serialization import TrainedModel
from annoseq.training.learner import Learner
from annoseq.training.objectives import Seq2SeqObjective
from annoseq.training.resources import Resources
from annoseq.training.sweep.search_space import TrialSettings
from annoseq.training.sweep.trial import PrunedRun, Sweep, run_grid, run_trial
from tests.faults import run_out_of_memory
from tests.tiny import same_weights
from tests.training.sweep.fake_runs import VALUES, sweep_in

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.results import SweepRun
    from annoseq.training.sweep.search_space import Value

THREE = {**VALUES, "epochs": 3, "max_lr": 0.05}


@pytest.fixture
def sweep(dataset: Dataset, tmp_path: Path) -> Sweep:
    given = {"epochs": "1,2", "max_lr": "0.01,0.05"}
    return sweep_in(tmp_path / "sweep", dataset, given, ranges=False)


def files(sweep: Sweep) -> list[str]:
    return sorted(path.name for path in (sweep.folder.path / "runs").iterdir())


def timeless(run: SweepRun) -> list[tuple[float, float, float]]:
    return [(row.train_loss, row.valid_loss, row.score) for row in run.epochs]


def test_a_run_starts_from_fresh_weights_and_its_model_is_kept(
    sweep: Sweep, dataset: Dataset
) -> None:
    run_trial(sweep, 1, {**VALUES, "epochs": 1})
    run = run_trial(sweep, 2, THREE)
    settings = TrialSettings.from_values(THREE)
    alone = Learner(
        dataset, model=settings.network, training=settings.training, batching=settings.batching
    )
    alone.fit_one_cycle(report=lambda line: None)
    found = [row.score for row in alone.recorder.epochs]
    assert [row.score for row in run.epochs] == found
    assert (run.state, run.score) == ("finished", max(found))
    assert sweep.folder.runs()[0].number == 2
    assert same_weights(TrainedModel.load(sweep.folder.best).network, alone.network)


def test_a_worse_run_leaves_the_best_model_alone(sweep: Sweep) -> None:
    run_trial(sweep, 1, THREE)
    before = (sweep.folder.best / "config.json").read_bytes()
    worse = run_trial(sweep, 2, {**VALUES, "epochs": 1, "max_lr": 1e-7})
    assert worse.rank < sweep.folder.runs()[0].rank
    assert (sweep.folder.best / "config.json").read_bytes() == before


def test_the_last_epoch_decides_where_its_weights_are_kept(sweep: Sweep) -> None:
    run = run_trial(sweep, 1, {**THREE, "keep": "last"})
    assert run.score == run.epochs[-1].score


def test_an_interrupted_run_goes_on_from_its_last_epoch(sweep: Sweep) -> None:
    def interrupt(epochs: list[Epoch]) -> None:
        if len(epochs) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trial(sweep, 1, THREE, after_epoch=interrupt)
    assert files(sweep) == ["001.training", "lock"]
    seen: list[int] = []
    run = run_trial(sweep, 1, THREE, after_epoch=lambda epochs: seen.append(len(epochs)))
    assert seen == [3]
    assert timeless(run) == timeless(run_trial(sweep, 2, THREE))
    assert files(sweep) == ["001.json", "002.json", "lock"]


def test_a_damaged_checkpoint_costs_no_more_than_its_run(sweep: Sweep) -> None:
    sweep.folder.files.checkpoint(1).write_bytes(b"no checkpoint")
    run = run_trial(sweep, 1, THREE)
    assert (run.state, len(run.epochs)) == ("finished", 3)


def test_a_run_that_diverges_is_a_row(sweep: Sweep) -> None:
    run = run_trial(sweep, 1, {**THREE, "max_lr": 1e30})
    assert (run.state, run.score) == ("diverged", None)
    last = run_trial(sweep, 1, {**THREE, "max_lr": 1e30, "epochs": 1, "batch_size": 1000})
    assert (last.state, last.score, len(last.epochs)) == ("diverged", None, 0)
    assert not sweep.folder.best.exists()
    assert files(sweep) == ["001.json", "lock"]


def test_a_pruned_run_is_a_row(sweep: Sweep) -> None:
    def give_up(epochs: list[Epoch]) -> None:
        raise PrunedRun

    run = run_trial(sweep, 1, THREE, after_epoch=give_up)
    assert (run.state, run.score, len(run.epochs)) == ("pruned", None, 1)
    assert not sweep.folder.best.exists()


@pytest.mark.parametrize(
    ("kind", "step"), [(Seq2SeqObjective, "to"), (Seq2SeqObjective, "forward")]
)
def test_a_run_that_is_too_large_for_the_memory_is_a_row(
    kind: type, step: str, sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, step, run_out_of_memory)
    run = run_trial(sweep, 1, THREE)
    assert (run.state, run.score, run.epochs) == ("out of memory", None, [])
    monkeypatch.undo()
    assert run_trial(sweep, 2, THREE).state == "finished"
    assert [one.number for one in sweep.folder.runs()] == [2, 1]


def test_an_error_that_beginning_again_would_not_mend_ends_the_sweep(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def fail(*_: object, **__: object) -> Never:
        tries.append(1)
        raise TrainingError("--compile failed.")

    monkeypatch.setattr(Seq2SeqObjective, "forward", fail)
    with pytest.raises(TrainingError, match="--compile failed"):
        run_trial(sweep, 1, THREE)
    assert tries == [1]


def test_settings_that_no_run_can_begin_with_are_refused(sweep: Sweep, tmp_path: Path) -> None:
    values: dict[str, Value] = {"model": "transformer", "transformer.embedding": 10}
    with pytest.raises(OptionError, match="an embedding of 10 cannot be shared out among 4 heads"):
        sweep.settings(values)
    vectors = tmp_path / "v.vec"
    vectors.write_text("1 2\na 1 2\n")
    guided = replace(sweep, resources=Resources(vectors=vectors))
    with pytest.raises(OptionError, match=r"--gru\.embedding 8 was given, and the vectors have 2"):
        guided.settings(VALUES)
    assert guided.settings({"gru.hidden": 8}).network.model == "gru"
    assert guided.settings({"model": "tagger"}).network.model == "tagger"
    assert sweep.settings(VALUES).training.epochs == 5


def test_every_run_of_a_grid_is_trained_once(sweep: Sweep) -> None:
    runs: list[SweepRun] = []
    run_grid(sweep, report=runs.append)
    assert [(run.settings["epochs"], run.settings["max_lr"]) for run in runs] == [
        (1, 0.01),
        (1, 0.05),
        (2, 0.01),
        (2, 0.05),
    ]
    assert [len(run.epochs) for run in runs] == [1, 1, 2, 2]
    again: list[SweepRun] = []
    run_grid(sweep, report=again.append)
    assert again == []


def test_a_run_claimed_by_another_process_is_skipped(sweep: Sweep) -> None:
    runs: list[SweepRun] = []
    with sweep.folder.files.claim(2):
        run_grid(sweep, report=runs.append)
    assert [run.number for run in runs] == [1, 3, 4]
