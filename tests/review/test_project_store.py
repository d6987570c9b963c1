from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import OutputError, ReviewError
from annoseq.review import actions
from annoseq.review.project import ReviewProject
from annoseq.review.project_records import LogEntry, now
from annoseq.review.project_store import ProjectStore
from tests.review.projects import TEXT, make_store, rows_of

if TYPE_CHECKING:
    from pathlib import Path


def test_only_its_owner_can_read_a_project(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    before = os.umask(0)
    try:
        store = make_store(path, rows_of([TEXT]))
        store.append([LogEntry(1, 1, "ada", now(), 1, actions.Skip())])
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == dict.fromkeys(modes, 0o600)
    assert len(modes) == 3  # the file, its log, and the index of that


def test_what_is_written_is_flushed_to_the_disk(tmp_path: Path) -> None:
    store = make_store(tmp_path / "review.db", rows_of([TEXT]))
    settings = {
        name: store._query(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous")
    }
    assert settings == {"journal_mode": "wal", "synchronous": 2}


def test_a_step_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    store = make_store(tmp_path / "review.db", rows_of([TEXT]))
    broken = LogEntry(1, 1, "ada", now(), None, actions.Skip())  # type: ignore[arg-type]
    with pytest.raises(ReviewError):
        store.append([LogEntry(1, 1, "ada", now(), 1, actions.Skip()), broken])
    assert store.log() == []


def test_a_file_that_is_no_project_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    with pytest.raises(ReviewError, match="there is no such project"):
        ProjectStore.open(path)
    path.write_text("Ms Ames " * 1000)
    with pytest.raises(ReviewError) as error:
        ProjectStore.open(path)
    assert str(error.value) == (
        f"{path} is no review project, or is damaged. Name a file that `annoseq review` made."
    )
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("CREATE TABLE notes (text)").connection.close()
    with pytest.raises(ReviewError) as error:
        ProjectStore.open(other)
    assert str(error.value) == (
        f"{other} is no complete review project. Delete it if its making was interrupted, and make "
        "the project again."
    )


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        ProjectStore.create(tmp_path / "none" / "review.db")


def test_a_file_that_another_program_has_locked_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    store = make_store(path, rows_of([TEXT]))
    store._query("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutputError, match="cannot be read or written: database is locked"):
        store.append([LogEntry(1, 1, "ada", now(), 1, actions.Skip())])
    other.close()


KILLED = """
import sys
from pathlib import Path
from annoseq.review import actions
from annoseq.review.project import ReviewProject
from annoseq.review.project_store import ProjectStore

project = ReviewProject(ProjectStore.open(Path(sys.argv[1])))
for number in range(10_000):
    project.act("ada", 1, actions.Note(text=str(number)), revision=number)
    print(number, flush=True)
"""


@pytest.mark.e2e
def test_a_kill_between_two_actions_loses_none(tmp_path: Path) -> None:
    path = tmp_path / "review.db"
    make_store(path, rows_of([TEXT])).close()
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 25:
                break
        process.send_signal(signal.SIGKILL)
        last = max([25, *map(int, process.stdout.read().splitlines())])
    project = ReviewProject(ProjectStore.open(path))
    # What was answered is there; one action more may have been written and not yet answered.
    assert int(project.state("ada", 1).note) in {last, last + 1}
    project.undo("ada", 1, revision=project.history("ada", 1).revision)
