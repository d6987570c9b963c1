from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Never

import pytest

from annoseq.errors import OutputError, TrainingError
from annoseq.output_lock import REPLACED, temporary_folder
from annoseq.training.sweep.results import SweepRun
from annoseq.training.sweep.sweep_folder import SweepFolder
from tests.training.sweep.fake_runs import run_of

if TYPE_CHECKING:
    from pathlib import Path

PLAN = {"pairs": "abc", "--max-lr": "0.001,0.01"}


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    folder = SweepFolder(tmp_path / "sweep")
    folder.files.begin(PLAN, overwrite=False)
    return folder


def test_a_run_comes_back_from_its_file(tmp_path: Path) -> None:
    run = run_of(3, 0.1, 0.3, 0.2)
    run.write(tmp_path / "run.json")
    found = SweepRun.read(tmp_path / "run.json")
    assert found == run
    assert found.best == run.epochs[1]
    assert found.seconds == 3


def test_of_equal_epochs_the_one_with_the_lowest_loss_is_the_best() -> None:
    run = run_of(1, 0.0, 0.3, 0.3, 0.3, 0.1)
    for place, loss in ((1, 3.0), (2, 1.5), (3, 1.5)):
        run.epochs[place] = replace(run.epochs[place], valid_loss=loss)
    assert run.best == run.epochs[2]


def test_the_better_run_has_the_higher_score_and_of_equals_the_first() -> None:
    runs = [
        run_of(1, 0.2),
        run_of(2, 0.9, state="pruned"),
        run_of(3, 0.3, 0.1),
        run_of(4, state="diverged"),
        run_of(5, 0.3),
    ]
    ranked = sorted(runs, key=lambda run: run.rank, reverse=True)
    assert [run.number for run in ranked] == [3, 5, 1, 2, 4]


@pytest.mark.parametrize("content", ["", "[]", '{"number": 1}', '{"epochs": [{}]}'])
def test_a_damaged_run_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "001.json"
    path.write_text(content)
    with pytest.raises(TrainingError) as caught:
        SweepRun.read(path)
    assert str(caught.value) == (
        f"{path} is damaged. Delete it, and --resume trains this run again."
    )


def test_a_run_is_held_by_one_at_a_time(folder: SweepFolder) -> None:
    claim = folder.files.claim
    with claim(1) as first, claim(1) as second, claim(2) as other:
        assert (first, second, other) == (True, False, True)
    with folder.files.claim(1) as again:
        assert again


def test_where_locks_do_not_work_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Never:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(OutputError) as caught:
        SweepFolder(tmp_path / "sweep").files.begin(PLAN, overwrite=False)
    assert str(caught.value) == (
        f"{tmp_path / 'sweep'} cannot be locked: No locks available. A sweep needs a folder "
        "that it may write to, on a disk where file locks work: choose another --out."
    )
    assert list(tmp_path.iterdir()) == []


def test_the_table_is_written_again(folder: SweepFolder) -> None:
    folder.save(run_of(1, 0.5), None)
    table = folder.path / "runs.csv"
    before = table.read_text()
    table.unlink()
    folder.write_table()
    assert table.read_text() == before


def test_a_run_that_has_ended_is_not_held_again(folder: SweepFolder) -> None:
    with folder.files.claim(1) as is_ours:
        assert is_ours
        folder.save(run_of(1, 0.5), None)
    with folder.files.claim(1) as is_ours:
        assert not is_ours
    assert sorted(path.name for path in (folder.path / "runs").iterdir()) == ["001.json", "lock"]


def test_the_table_has_the_best_run_first(folder: SweepFolder) -> None:
    for run in (run_of(1, 0.2), run_of(2, 0.4), run_of(3, 0.3)):
        folder.save(run, None)
    assert [run.number for run in folder.runs()] == [2, 3, 1]
    rows = (folder.path / "runs.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["run", "2", "3", "1"]


def test_the_same_plan_resumes(folder: SweepFolder) -> None:
    folder.files.resume(dict(PLAN))


@pytest.mark.parametrize(
    ("plan", "difference"),
    [
        ({**PLAN, "pairs": "xyz"}, "pairs abc, and now it is xyz"),
        ({**PLAN, "--max-lr": "0.1"}, "--max-lr 0.001,0.01, and now it is 0.1"),
        ({"pairs": "abc"}, "--max-lr 0.001,0.01, and now it is not given"),
        ({**PLAN, "--epochs": "5"}, "--epochs not given, and now it is 5"),
    ],
)
def test_another_plan_does_not_resume(
    plan: dict[str, str], difference: str, folder: SweepFolder
) -> None:
    with pytest.raises(TrainingError) as caught:
        folder.files.resume(plan)
    assert str(caught.value) == (
        f"{folder.path} was begun with {difference}. "
        "Resume with the same data and options, or choose another --out."
    )


def test_what_is_no_sweep_does_not_resume(folder: SweepFolder, tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        SweepFolder(tmp_path).files.resume(PLAN)
    assert str(caught.value) == (
        f"there is no sweep at {tmp_path}. Leave --resume off to begin one."
    )
    path = folder.path / "config.json"
    path.write_text("{")
    with pytest.raises(TrainingError) as caught:
        folder.files.resume(PLAN)
    assert str(caught.value) == (
        f"{path} is damaged, so that the sweep cannot be resumed. Begin another one."
    )


def test_a_sweep_that_was_being_replaced_is_found(folder: SweepFolder) -> None:
    folder.save(run_of(1, 0.5), None)
    hidden = temporary_folder(folder.path) / REPLACED
    folder.path.rename(hidden)  # as a killed process leaves it
    folder.files.resume(dict(PLAN))
    assert len(folder.runs()) == 1
    folder.path.rename(temporary_folder(folder.path) / REPLACED)
    with pytest.raises(OutputError, match=r"exists already. Add --resume if it is this sweep"):
        folder.files.begin(PLAN, overwrite=False)


def test_a_sweep_is_replaced_only_when_asked(folder: SweepFolder) -> None:
    folder.save(run_of(1, 0.5), None)
    with pytest.raises(OutputError) as caught:
        folder.files.begin(PLAN, overwrite=False)
    assert str(caught.value) == (
        f"{folder.path} exists already. Add --resume if it is this sweep, interrupted; "
        "choose another name, or add --overwrite to replace it."
    )
    assert len(folder.runs()) == 1
    folder.files.begin(PLAN, overwrite=True)
    assert folder.runs() == []


def test_what_is_not_ours_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(OutputError, match="was not written by annoseq"):
        SweepFolder(tmp_path).files.check_writable(overwrite=True)


def test_what_others_work_in_is_resumed_and_not_replaced(folder: SweepFolder) -> None:
    files = folder.files
    used = (
        f"{folder.path} is in use: another process trains in it. Wait until it ends, or choose "
        "another --out."
    )
    with files.open(PLAN, resume=True, overwrite=False):
        with (
            files.open(PLAN, resume=True, overwrite=False),
            pytest.raises(OutputError) as caught,
        ):
            files.check_writable(overwrite=True)
        assert str(caught.value) == used
        with (
            pytest.raises(OutputError) as caught,
            files.open(PLAN, resume=False, overwrite=True),
        ):
            pytest.fail("the block was entered")
        assert str(caught.value) == used
    with files.claim(1), pytest.raises(OutputError, match="is in use"):
        files.begin(PLAN, overwrite=True)  # a worker is left of a process that was killed
    with files.open(PLAN, resume=False, overwrite=True):
        assert folder.runs() == []
