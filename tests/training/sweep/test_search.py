from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import OptionError, TrainingError
from annoseq.training.sweep.search import _open_study, import_optuna, search
from annoseq.training.sweep.trial import HopelessRun
from tests.training.sweep.runs import run_of, sweep_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from annoseq.text.dataset import Dataset
    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.run import Run
    from annoseq.training.sweep.trial import Sweep

pytest.importorskip("optuna")
GIVEN = {"max_lr": "1e-4:1e-1", "batch_size": "16,32", "epochs": "1:3"}


def search_all(sweep: Sweep, *, trials: int = 4, prune: bool = False) -> list[Run]:
    runs: list[Run] = []
    search(sweep, trials=trials, seed=1, prune=prune, report=runs.append)
    return runs


@pytest.fixture
def sweep(dataset: Dataset, tmp_path: Path) -> Sweep:
    return sweep_in(tmp_path / "a sweep?", dataset, GIVEN, ranges=True)


@pytest.fixture
def faked(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Carry out runs of four epochs without training; each is worse than the one before."""

    def carry_out(sweep: Sweep, number: int, values: object, *, watch: object) -> Run:
        run = run_of(number, *(0.01 * epoch / number for epoch in range(1, 5)))
        sweep.folder.keep(run, None)
        return run

    monkeypatch.setattr("annoseq.training.sweep.search.carry_out", carry_out)
    return sweep


def test_a_search_draws_from_lists_and_ranges(sweep: Sweep) -> None:
    runs = search_all(sweep)
    assert [run.number for run in runs] == [1, 2, 3, 4]
    for run in runs:
        rate, rows, epochs = (run.settings[name] for name in ("max_lr", "batch_size", "epochs"))
        assert isinstance(rate, float)
        assert 1e-4 <= rate <= 1e-1
        assert rows in {16, 32}
        assert epochs == len(run.epochs)
        assert run.settings["gru.hidden"] == 8
    assert len({run.settings["max_lr"] for run in runs}) == 4
    assert (sweep.folder.best / "config.json").exists()


def test_a_search_repeats(dataset: Dataset, tmp_path: Path, faked: Sweep) -> None:
    other = sweep_in(tmp_path / "other", dataset, GIVEN, ranges=True)
    first, second = (search_all(one, trials=12) for one in (faked, other))
    assert [run.settings for run in first] == [run.settings for run in second]


def test_a_search_goes_on_to_more_trials(faked: Sweep) -> None:
    assert len(search_all(faked, trials=3)) == 3
    assert search_all(faked, trials=3) == []
    assert [run.number for run in search_all(faked, trials=5)] == [4, 5]


def test_the_options_of_a_network_are_drawn_for_it_alone(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[set[str]] = []

    def carry_out(sweep: Sweep, number: int, values: dict[str, object], *, watch: object) -> Run:
        drawn.append({str(values["model"]), *values})
        run = run_of(number, 0.1)
        sweep.folder.keep(run, None)
        return run

    monkeypatch.setattr("annoseq.training.sweep.search.carry_out", carry_out)
    given = {"model": "gru,attention", "attention.dropout": "0:0.5"}
    search_all(sweep_in(tmp_path / "sweep", dataset, given, ranges=True), trials=8)
    assert {"gru" in names for names in drawn} == {True, False}
    for names in drawn:
        assert ("gru" in names) == ("gru.hidden" in names)
        assert ("attention" in names) == ("attention.dropout" in names)


def test_a_run_that_was_cut_short_is_taken_up_again(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search_all(sweep, trials=2)
    with monkeypatch.context() as patch:

        def interrupt(run: object, path: object) -> None:
            raise KeyboardInterrupt

        patch.setattr("annoseq.training.sweep.run.Run.write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search_all(sweep, trials=3)
    assert sweep.folder.checkpoint(3).exists()
    assert len(sweep.folder.runs()) == 2
    again = search_all(sweep, trials=4)
    assert [run.number for run in again] == [3, 4]
    assert not sweep.folder.checkpoint(3).exists()
    assert len(whole) + len(again) == len(sweep.folder.runs()) == 4


def test_a_run_counts_while_another_process_is_at_it(faked: Sweep) -> None:
    search_all(faked, trials=2)
    with _open_study(faked, prune=False) as study:
        study.ask().set_user_attr("run", 3)
        study.ask()  # its process died at once
        with faked.folder.claim(3):
            assert search_all(faked, trials=3) == []
        assert [run.number for run in search_all(faked, trials=3)] == [3]
        states = [trial.state.name for trial in study.get_trials()]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "FAIL", "COMPLETE"]


def test_a_run_that_ended_as_its_process_died_is_not_trained_again(faked: Sweep) -> None:
    with _open_study(faked, prune=False) as study:
        study.ask().set_user_attr("run", 1)
        faked.folder.keep(run_of(1, 0.5), None)
        assert [run.number for run in search_all(faked, trials=2)] == [2]
        assert study.best_value == 0.5


def test_a_run_that_falls_behind_is_ended(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def carry_out(
        sweep: Sweep, number: int, values: object, *, watch: Callable[[list[Epoch]], None]
    ) -> Run:
        run = run_of(number, *[0.1 / number] * 10)
        for epoch in range(1, 11):
            try:
                watch(run.epochs[:epoch])
            except HopelessRun:
                run = run_of(number, *[0.1 / number] * epoch, state="pruned")
                break
        sweep.folder.keep(run, None)
        return run

    monkeypatch.setattr("annoseq.training.sweep.search.carry_out", carry_out)
    given = {"epochs": "10", "max_lr": "1e-4:1e-2"}
    for prune in (True, False):
        sweep = sweep_in(tmp_path / str(prune), dataset, given, ranges=True)
        runs = search_all(sweep, trials=7, prune=prune)
        ends = [3, 3] if prune else [10, 10]
        assert [len(run.epochs) for run in runs] == [10, 10, 10, 10, 10, *ends]


def test_a_damaged_study_is_named(sweep: Sweep) -> None:
    sweep.folder.study.write_bytes(b"no database" * 100)
    with pytest.raises(TrainingError) as caught:
        search_all(sweep)
    assert str(caught.value) == (
        f"{sweep.folder.study} is damaged or was written by another version of Optuna. "
        "Begin another sweep."
    )


def test_without_optuna_the_message_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError) as caught:
        import_optuna()
    assert str(caught.value) == (
        "--search needs Optuna, which is not installed. Run: pip install 'annoseq[sweep]'"
    )
