from __future__ import annotations

import sqlite3
import sys
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from annoseq.errors import OptionError, TrainingError
from annoseq.training.sweep.optuna_search import (
    import_optuna,
    open_study,
    run_optuna_search,
    scores_at_steps,
)
from annoseq.training.sweep.search_space import CategoricalDimension, SearchSpace
from annoseq.training.sweep.trial import PrunedRun
from tests.training.sweep.fake_runs import run_of, sweep_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.results import SweepRun
    from annoseq.training.sweep.search_space import Value
    from annoseq.training.sweep.trial import Sweep

pytest.importorskip("optuna")
GIVEN = {"max_lr": "1e-4:1e-1", "batch_size": "16,32", "epochs": "1:3"}


@pytest.fixture(autouse=True)
def unsynced_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no commit to a database wait for the disk."""
    connect = sqlite3.connect

    def connect_unsynced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        with suppress(sqlite3.DatabaseError):  # some files are damaged
            connection.execute("PRAGMA synchronous=OFF")
        return connection

    monkeypatch.setattr("sqlite3.connect", connect_unsynced)
    monkeypatch.setattr("sqlite3.dbapi2.connect", connect_unsynced)


def search_all(sweep: Sweep, *, trials: int = 4, prune: bool = False) -> list[SweepRun]:
    runs: list[SweepRun] = []
    run_optuna_search(sweep, trials=trials, seed=1, prune=prune, report=runs.append)
    return runs


def pretend(
    sweep: Sweep, number: int, scores: list[float], after_epoch: Callable[[list[Epoch]], None]
) -> SweepRun:
    """Carry out a run with these scores, without training."""
    run = run_of(number, *scores)
    for epoch in range(1, len(scores) + 1):
        try:
            after_epoch(run.epochs[:epoch])
        except PrunedRun:
            run = run_of(number, *scores[:epoch], state="pruned")
            break
    sweep.folder.save(run, None)
    return run


def draw_only(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Value]]:
    """Train nothing, and return the list that the settings of all runs come to."""
    drawn: list[dict[str, Value]] = []

    def run_trial(
        sweep: Sweep, number: int, values: dict[str, Value], *, after_epoch: object
    ) -> SweepRun:
        drawn.append(values)
        run = run_of(number, 0.1)
        sweep.folder.save(run, None)
        return run

    monkeypatch.setattr("annoseq.training.sweep.optuna_search.run_trial", run_trial)
    return drawn


@pytest.fixture
def sweep(dataset: Dataset, tmp_path: Path) -> Sweep:
    return sweep_in(tmp_path / "a sweep?", dataset, GIVEN, ranges=True)


@pytest.fixture
def faked(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Carry out runs of four epochs without training; each is worse than the one before."""

    def run_trial(sweep: Sweep, number: int, values: object, *, after_epoch: object) -> SweepRun:
        run = run_of(number, *(0.01 * epoch / number for epoch in range(1, 5)))
        sweep.folder.save(run, None)
        return run

    monkeypatch.setattr("annoseq.training.sweep.optuna_search.run_trial", run_trial)
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
    drawn = draw_only(monkeypatch)
    given = {"model": "gru,attention", "attention.dropout": "0:0.5"}
    search_all(sweep_in(tmp_path / "sweep", dataset, given, ranges=True), trials=8)
    assert {values["model"] for values in drawn} == {"gru", "attention"}
    for values in drawn:
        assert (values["model"] == "gru") == ("gru.hidden" in values)
        assert (values["model"] == "attention") == ("attention.dropout" in values)


def test_a_run_that_was_cut_short_is_taken_up_again(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search_all(sweep, trials=2)
    with monkeypatch.context() as patch:

        def interrupt(run: object, path: object) -> None:
            raise KeyboardInterrupt

        patch.setattr("annoseq.training.sweep.results.SweepRun.write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search_all(sweep, trials=3)
    assert sweep.folder.files.checkpoint(3).exists()
    assert len(sweep.folder.runs()) == 2
    again = search_all(sweep, trials=4)
    assert [run.number for run in again] == [3, 4]
    assert not sweep.folder.files.checkpoint(3).exists()
    assert len(whole) + len(again) == len(sweep.folder.runs()) == 4


def test_a_run_counts_while_another_process_is_at_it(faked: Sweep) -> None:
    search_all(faked, trials=2)
    with open_study(faked.folder, prune=False) as study:
        study.ask().set_user_attr("run", 3)
        study.ask()  # its process died at once
        with faked.folder.files.claim(3):
            assert search_all(faked, trials=3) == []
        assert [run.number for run in search_all(faked, trials=3)] == [3]
        states = [trial.state.name for trial in study.get_trials()]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "FAIL", "COMPLETE"]


def test_a_run_that_ended_as_its_process_died_is_not_trained_again(faked: Sweep) -> None:
    with open_study(faked.folder, prune=False) as study:
        study.ask().set_user_attr("run", 1)
        faked.folder.save(run_of(1, 0.5), None)
        assert [run.number for run in search_all(faked, trials=2)] == [2]
        assert study.best_value == 0.5


def test_a_run_that_falls_behind_is_ended(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_trial(
        sweep: Sweep, number: int, values: object, *, after_epoch: Callable[[list[Epoch]], None]
    ) -> SweepRun:
        return pretend(sweep, number, [0.1 / number] * 10, after_epoch)

    monkeypatch.setattr("annoseq.training.sweep.optuna_search.run_trial", run_trial)
    given = {"epochs": "10", "max_lr": "1e-4:1e-2"}
    for prune in (True, False):
        sweep = sweep_in(tmp_path / str(prune), dataset, given, ranges=True)
        runs = search_all(sweep, trials=7, prune=prune)
        ends = [3, 3] if prune else [10, 10]
        assert [len(run.epochs) for run in runs] == [10, 10, 10, 10, 10, *ends]


def test_a_damaged_study_is_named(faked: Sweep) -> None:
    search_all(faked, trials=2)
    with closing(sqlite3.connect(faked.folder.study)) as database:
        database.execute("ALTER TABLE trial_values RENAME COLUMN value TO other")
    with pytest.raises(TrainingError) as caught:
        search_all(faked, trials=3)
    assert str(caught.value) == (
        f"{faked.folder.study} cannot be read or written: no such column: trial_values.value. "
        "Where the disk was full, make room and add --resume. Otherwise the file is damaged or "
        "of another version of Optuna: begin another sweep."
    )
    faked.folder.study.write_bytes(b"no database" * 100)
    with pytest.raises(TrainingError, match=r"written: file is not a database\. Where"):
        search_all(faked)


def test_a_run_whose_file_is_gone_is_trained_again(faked: Sweep) -> None:
    first = search_all(faked, trials=3)
    (faked.folder.path / "runs" / "002.json").unlink()
    assert [run.number for run in search_all(faked, trials=3)] == [2]
    assert search_all(faked, trials=3) == []
    assert [run.number for run in search_all(faked, trials=4)] == [4]
    assert sorted(run.number for run in faked.folder.runs()) == [1, 2, 3, 4]
    assert len(first) == 3


def test_settings_that_no_run_can_begin_with_are_drawn_again(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = draw_only(monkeypatch)
    heads = {"transformer.heads": "3:8", "transformer.embedding": "96", "model": "transformer"}
    sweep = sweep_in(tmp_path / "heads", dataset, {}, ranges=False)
    search_all(replace(sweep, space=SearchSpace.parse(heads, ranges=True)), trials=8)
    assert len(drawn) == 8
    assert {values["transformer.heads"] for values in drawn} <= {3, 4, 6, 8}
    drawn.clear()
    widths = {"model": "tagger", "tagger.hidden": "8:64", "tagger.buckets": "1024:8192"}
    sweep = sweep_in(tmp_path / "widths", dataset, {}, ranges=False)
    search_all(replace(sweep, space=SearchSpace.parse(widths, ranges=True)), trials=8)
    assert len(drawn) == 8
    assert {int(values["tagger.hidden"]) % 8 for values in drawn} == {0}
    assert {int(values["tagger.buckets"]) % 1024 for values in drawn} == {0}


def test_a_search_that_draws_nothing_to_begin_with_ends(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annoseq.training.sweep.optuna_search.MAX_ATTEMPTS", 10)
    dimensions = {
        "model": CategoricalDimension(("transformer",)),
        "transformer.embedding": CategoricalDimension((30,)),
        "transformer.heads": CategoricalDimension((4, 7)),
    }
    with pytest.raises(OptionError) as caught:
        search_all(replace(sweep, space=SearchSpace(dimensions)))
    message = str(caught.value)
    assert message.startswith("10 settings were drawn, and with none can a run begin; with the")
    assert message.endswith("twice their number. Give other lists or ranges.")


def test_runs_of_any_length_are_compared(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = [(5, 0.2)] * 4 + [(13, 0.9), (13, 0.8), (13, 0.1)]

    def run_trial(
        sweep: Sweep, number: int, values: object, *, after_epoch: Callable[[list[Epoch]], None]
    ) -> SweepRun:
        return pretend(sweep, number, [plans[number - 1][1]] * plans[number - 1][0], after_epoch)

    monkeypatch.setattr("annoseq.training.sweep.optuna_search.run_trial", run_trial)
    drawn = iter(plans)
    monkeypatch.setattr(
        "annoseq.training.sweep.optuna_search._suggest",
        lambda trial, name, dimension: next(drawn)[0] if name == "epochs" else dimension.values[0],
    )
    sweep = sweep_in(tmp_path / "sweep", dataset, {"epochs": "5:20"}, ranges=True)
    runs = search_all(sweep, trials=7, prune=True)
    assert [run.state for run in runs] == ["finished"] * 6 + ["pruned"]
    assert len(runs[-1].epochs) == 4  # of 13: the first beyond 30 %


@pytest.mark.parametrize(
    ("scores", "total", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], 20, {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4}),
        ([0.1, 0.2], 5, {4: 0.1, 5: 0.1, 6: 0.1, 7: 0.1, 8: 0.2}),
        ([0.1, 0.2, 0.3], 13, {1: 0.1, 2: 0.1, 3: 0.2, 4: 0.3}),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 40, {0: 0.1, 1: 0.2, 2: 0.4}),
        ([], 5, {}),
    ],
)
def test_a_run_has_a_score_at_every_point(
    scores: list[float], total: int, expected: dict[int, float]
) -> None:
    assert scores_at_steps(scores, total=total) == expected


def test_without_optuna_the_message_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError) as caught:
        import_optuna()
    assert str(caught.value) == (
        "--search needs Optuna, which is not installed. Run: pip install 'annoseq[sweep]'"
    )


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """Return the list of all connections to databases that are opened from now on."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def record(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr("sqlite3.dbapi2.connect", record)
    return opened


def is_closed(connection: sqlite3.Connection) -> bool:
    try:
        connection.in_transaction  # noqa: B018
        connection.total_changes  # noqa: B018
    except sqlite3.ProgrammingError:
        return True
    return False


def test_every_connection_to_the_database_is_closed(
    faked: Sweep, connections: list[sqlite3.Connection]
) -> None:
    search_all(faked, trials=2)
    assert connections
    assert all(map(is_closed, connections))
    faked.folder.study.write_bytes(b"no database" * 100)
    connections.clear()
    with pytest.raises(TrainingError, match="file is not a database"):
        search_all(faked)
    assert connections
    assert all(map(is_closed, connections))
