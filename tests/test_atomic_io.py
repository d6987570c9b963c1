from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Never

import pytest
from filelock import FileLock

from annoseq.atomic_io import (
    atomic_file,
    atomic_folder,
    check_folder_writable,
    check_not_existing,
    check_writable,
    make_public,
)
from annoseq.errors import OutputError
from annoseq.output_lock import OutputLock, restore_interrupted

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Writer = Callable[..., AbstractContextManager[Path]]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with atomic_file(path, overwrite=False) as new:
        new.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["out.csv"]


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with atomic_folder(path, overwrite=False) as new:
        (new / "config.json").write_text("{}")
        assert not path.exists()
    assert names(path) == ["config.json"]
    assert names(tmp_path) == ["model"]


def test_an_existing_path_is_overwritten_on_request(tmp_path: Path) -> None:
    file, folder = tmp_path / "out.csv", tmp_path / "model"
    file.write_text("old")
    folder.mkdir()
    (folder / "config.json").touch()
    with atomic_file(file, overwrite=True) as new:
        new.write_text("new")
    with atomic_folder(folder, overwrite=True) as new:
        (new / "new").touch()
    assert file.read_text() == "new"
    assert names(folder) == ["new"]
    assert names(tmp_path) == ["model", "out.csv"]


def test_an_existing_path_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    message = f"{path} exists already. Choose another name, or add --overwrite to replace it."
    with pytest.raises(OutputError) as caught:
        check_not_existing(path, overwrite=False)
    assert str(caught.value) == message
    with pytest.raises(OutputError), atomic_file(path, overwrite=False):
        pass
    with pytest.raises(OutputError), atomic_folder(path, overwrite=False):
        pass
    assert path.read_text() == "old"


def test_a_failure_leaves_the_old_content(tmp_path: Path) -> None:
    file, folder = tmp_path / "out.csv", tmp_path / "model"
    file.write_text("old")
    folder.mkdir()
    (folder / "config.json").touch()
    with pytest.raises(ZeroDivisionError), atomic_file(file, overwrite=True) as new:
        new.write_text(str(1 / 0))
    with pytest.raises(ZeroDivisionError), atomic_folder(folder, overwrite=True) as new:
        (new / "new").write_text(str(1 / 0))
    assert file.read_text() == "old"
    assert names(folder) == ["config.json"]
    assert names(tmp_path) == ["model", "out.csv"]


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").touch()
    with pytest.raises(OutputError), atomic_folder(folder, overwrite=True) as new:
        shutil.rmtree(new)
    assert names(folder) == ["config.json"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("write", [atomic_file, atomic_folder])
def test_parent_folders_are_made(write: Writer, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "out"
    check_writable(path, overwrite=False)
    assert names(tmp_path) == []
    with write(path, overwrite=False) as new:
        file_in(new).write_text("whole")
    assert file_in(path).read_text() == "whole"
    assert names(path.parent) == ["out"]


@pytest.mark.parametrize("write", [atomic_file, atomic_folder])
def test_parent_folders_that_were_made_are_removed_after_a_failure(
    write: Writer, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    with (
        pytest.raises(ZeroDivisionError),
        write(tmp_path / "a" / "b" / "c" / "out", overwrite=False) as new,
    ):
        file_in(new).write_text(str(1 / 0))
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_the_place_of_a_file_is_explained(overwrite: bool, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.mkdir()
    message = f"{path} is a folder, and a file is written. Choose another name."
    with pytest.raises(OutputError) as caught:
        check_writable(path, overwrite=overwrite)
    assert str(caught.value) == message
    with pytest.raises(OutputError) as caught, atomic_file(path, overwrite=overwrite):
        pytest.fail("the block was entered")
    assert str(caught.value) == message
    assert names(tmp_path) == ["report.json"]


def test_files_and_folders_have_ordinary_rights(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with atomic_folder(tmp_path / "model", overwrite=False):
        pass
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_foreign_folder_is_not_overwritten(tmp_path: Path) -> None:
    thesis, notes = tmp_path / "thesis", tmp_path / "notes.txt"
    thesis.mkdir()
    (thesis / "chapter.tex").touch()
    notes.touch()
    for path in (thesis, notes):
        message = (
            f"{path} was not written by annoseq, so that --overwrite does not replace it. "
            "Choose another name, or remove it first."
        )
        with pytest.raises(OutputError) as caught:
            check_folder_writable(path, overwrite=True)
        assert str(caught.value) == message
        with pytest.raises(OutputError) as caught, atomic_folder(path, overwrite=True):
            pass
        assert str(caught.value) == message
    assert names(tmp_path) == ["notes.txt", "thesis"]
    assert names(thesis) == ["chapter.tex"]


def test_an_empty_folder_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    check_folder_writable(tmp_path / "model", overwrite=True)
    with atomic_folder(tmp_path / "model", overwrite=True) as new:
        (new / "config.json").touch()
    assert names(tmp_path / "model") == ["config.json"]


def test_a_check_fails_as_the_writing_would(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_writable(tmp_path / "new", overwrite=False)
    with pytest.raises(OutputError, match="new cannot be written: Not a directory"):
        check_writable(tmp_path / "file" / "new", overwrite=False)
    with pytest.raises(OutputError, match="new cannot be written: Not a directory"):
        check_writable(tmp_path / "file" / "absent" / "new", overwrite=False)
    with pytest.raises(OutputError, match="exists already"):
        check_writable(tmp_path / "file", overwrite=False)
    with pytest.raises(OutputError, match="has no name of its own"):
        check_writable(tmp_path / "..", overwrite=True)
    assert names(tmp_path) == ["file"]


def file_in(new: Path) -> Path:
    """Return a file of the result, whether that is a file or a folder."""
    return new / "file" if new.is_dir() else new


def write_half(new: Path) -> None:
    file_in(new).write_text("half")
    signal.raise_signal(signal.SIGINT)


def fill_the_disk(new: Path) -> None:
    file_in(new).symlink_to("/dev/full")
    file_in(new).write_text("whole")


@pytest.mark.parametrize("write", [atomic_file, atomic_folder])
@pytest.mark.parametrize("is_there", [False, True])
def test_an_interrupt_leaves_nothing_new(write: Writer, is_there: bool, tmp_path: Path) -> None:
    path = tmp_path / "out"
    if is_there:
        with write(path, overwrite=False) as new:
            (new if write is atomic_file else new / "config.json").write_text("old")
    with pytest.raises(KeyboardInterrupt), write(path, overwrite=True) as new:
        write_half(new)
    assert names(tmp_path) == (["out"] if is_there else [])
    old = path if write is atomic_file else path / "config.json"
    assert not is_there or old.read_text() == "old"


@pytest.mark.parametrize("write", [atomic_file, atomic_folder])
def test_a_full_disk_is_explained(write: Writer, tmp_path: Path) -> None:
    path = tmp_path / "out"
    with pytest.raises(OutputError) as caught, write(path, overwrite=False) as new:
        fill_the_disk(new)
    assert str(caught.value) == (
        f"{path} cannot be written: No space left on device. Nothing was changed; "
        "choose a folder that exists, is writable and has room."
    )
    assert names(tmp_path) == []


@pytest.mark.parametrize("write", [atomic_file, atomic_folder])
def test_a_file_in_the_place_of_a_folder_is_explained(write: Writer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    path = tmp_path / "file" / "out"
    with pytest.raises(OutputError) as caught, write(path, overwrite=False):
        pytest.fail("the block was entered")
    assert str(caught.value).startswith(f"{path} cannot be written: Not a directory. ")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place that nobody may write")
@pytest.mark.parametrize("write", [atomic_file, atomic_folder])
def test_a_place_that_is_read_only_is_explained(write: Writer) -> None:
    path = Path("/proc/self/out")
    message = f"^{path} cannot be written: .*\\. Nothing was changed; choose a folder that "
    with pytest.raises(OutputError, match=message), write(path, overwrite=False):
        pytest.fail("the block was entered")


@pytest.mark.parametrize("write", [atomic_file, atomic_folder])
def test_a_name_that_is_too_long_is_explained(write: Writer, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    message = "cannot be written: File name too long. Nothing was changed; "
    with pytest.raises(OutputError, match=message), write(path, overwrite=False):
        pytest.fail("the block was entered")
    with pytest.raises(OutputError, match=message):
        check_not_existing(path, overwrite=False)
    assert names(tmp_path) == []


def test_an_error_with_its_own_explanation_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, atomic_file(tmp_path / "out", overwrite=False):
        raise OutputError("the inner one")
    assert str(caught.value) == "the inner one"


def test_an_error_of_the_system_without_a_reason_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with pytest.raises(OutputError) as caught, atomic_file(path, overwrite=False):
        raise OSError("as pyarrow raises them")
    assert str(caught.value).startswith(f"{path} cannot be written: as pyarrow raises them. ")


def test_a_file_can_take_the_place_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with atomic_file(tmp_path / "out", overwrite=True) as new:
        new.write_text("new")
    assert (tmp_path / "out").read_text() == "new"
    assert (tmp_path / "real").read_text() == "old"


class FsyncRecorder:
    """Records the name of everything that is flushed, and whether the result stood there."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, bool]] = []
        self._path = path
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, descriptor: int) -> None:
        inode = os.fstat(descriptor).st_ino
        places = [self._path.parent, *self._path.parent.rglob("*")]
        (name,) = (place.name for place in places if place.stat().st_ino == inode)
        self.calls.append((name, self._path.exists()))
        self._fsync(descriptor)


def test_a_file_is_flushed_before_the_rename_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.csv"
    recorder = FsyncRecorder(path, monkeypatch)
    with atomic_file(path, overwrite=False) as new:
        new.write_text("whole")
    assert recorder.calls == [("out.csv", False), (tmp_path.name, True)]


def test_every_file_of_a_folder_is_flushed_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    recorder = FsyncRecorder(path, monkeypatch)
    with atomic_folder(path, overwrite=False) as new:
        (new / "config.json").write_text("{}")
        (new / "runs").mkdir()
        (new / "runs" / "weights").write_text("1")
    *before, after = recorder.calls
    assert sorted(before) == [(name, False) for name in ("config.json", "new", "runs", "weights")]
    names_in_order = [name for name, _ in before]
    assert names_in_order.index("weights") < names_in_order.index("runs")
    assert names_in_order[-1] == "new"
    assert after == (tmp_path.name, True)


def test_a_private_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.training"
    with atomic_file(path, overwrite=False, private=True) as new:
        new.write_text("weights")
    assert path.stat().st_mode & 0o777 == 0o600
    with atomic_folder(tmp_path / "out.partial", overwrite=False, private=True):
        pass
    assert (tmp_path / "out.partial").stat().st_mode & 0o777 == 0o700


def test_a_private_folder_is_made_public_with_all_in_it(tmp_path: Path) -> None:
    private, public = tmp_path / "private", tmp_path / "public"
    for folder in (private, public):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "file").touch()
    private.chmod(0o700)
    (private / "sub" / "file").chmod(0o600)
    make_public(private)
    modes = [
        [path.stat().st_mode for path in (folder, folder / "sub", folder / "sub" / "file")]
        for folder in (private, public)
    ]
    assert modes[0] == modes[1]
    (private / "sub" / "file").chmod(0o600)
    make_public(private / "sub" / "file")
    assert (private / "sub" / "file").stat().st_mode == modes[1][2]
    assert names(tmp_path) == ["private", "public"]


KILLED_WHILE_REPLACING = """
import os, sys
from pathlib import Path
from annoseq import atomic_io

def kill(new, path):
    os._exit(9)

if sys.argv[2] == "without exchange":
    atomic_io._exchange = lambda first, second: False
    atomic_io.durable_replace = kill
else:
    atomic_io._flush_to_disk = lambda path: (
        os._exit(9) if (Path(sys.argv[1]) / "new").exists() else None
    )
with atomic_io.atomic_folder(Path(sys.argv[1]), overwrite=True) as new:
    (new / "config.json").touch()
    (new / "new").touch()
"""
"""Replaces a folder, and dies as soon as the old one is not under the name any more."""


@pytest.mark.parametrize("way", ["exchange", "without exchange"])
@pytest.mark.parametrize("restart", ["write", "check", "read"])
def test_a_kill_while_a_folder_is_replaced_leaves_one_of_both(
    way: str, restart: str, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text("old")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_REPLACING, str(path), way], check=False
    )
    assert killed.returncode == 9
    assert path.exists() == (way == "exchange")
    if restart == "check":
        check_folder_writable(path, overwrite=True)
    elif restart == "read":
        restore_interrupted(path)
    else:
        with pytest.raises(ZeroDivisionError), atomic_folder(path, overwrite=True):
            print(1 / 0)
    assert names(path) == (["config.json", "new"] if way == "exchange" else ["config.json"])
    if restart == "write" or way == "without exchange":
        assert names(tmp_path) == ["model"]


WRITER = """
import sys
from pathlib import Path
from annoseq.atomic_io import atomic_file, atomic_folder

write = {"file": atomic_file, "folder": atomic_folder}[sys.argv[2]]
with write(Path(sys.argv[1]), overwrite=True) as new:
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_output_is_written_by_one_process_at_a_time(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    for write in (atomic_file, atomic_folder):
        with pytest.raises(OutputError) as caught, write(path, overwrite=True):
            pytest.fail("the block was entered")
        assert str(caught.value) == (
            f"{path} is being written by process {writer.pid}. "
            "Wait until it ends, or choose another name."
        )
    writer.kill()
    writer.communicate()
    assert names(tmp_path) != []
    with atomic_file(path, overwrite=True) as new:
        new.write_text("whole")
    assert names(tmp_path) == ["out"]


def test_a_lock_may_be_taken_again_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "out"
    with OutputLock(path):
        with atomic_file(path, overwrite=False) as new:
            new.write_text("whole")
        assert names(path.parent) == [".out.lock", "out"]
    assert names(path.parent) == ["out"]


def test_what_resembles_a_leftover_is_spared(tmp_path: Path) -> None:
    foreign = [".out.annoseq-", ".out.annoseq-thesis", ".out.training", ".other.annoseq-12345678"]
    for name in foreign:
        (tmp_path / name).mkdir()
    with atomic_file(tmp_path / "out", overwrite=False) as new:
        new.touch()
    assert names(tmp_path) == sorted([*foreign, "out"])


def test_disks_without_locks_are_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: FileLock) -> Never:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(FileLock, "acquire", fail)
    with atomic_file(tmp_path / "out", overwrite=False) as new:
        new.touch()
    assert names(tmp_path) == ["out"]


def test_a_failed_flush_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with (
        pytest.raises(OutputError, match="cannot be written: Input/output error"),
        atomic_file(path, overwrite=True) as new,
    ):
        new.write_text("new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["out.csv"]
