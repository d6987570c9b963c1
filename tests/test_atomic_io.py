from __future__ import annotations

import errno
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from annoseq.atomic_io import (
    atomic_file,
    atomic_folder,
    check_folder_writable,
    check_not_existing,
    check_writable,
)
from annoseq.errors import OutputError

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


def test_a_place_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "out.csv"
    message = (
        f"{path} cannot be written: No such file or directory. Nothing was changed; "
        "choose a folder that exists, is writable and has room."
    )
    with pytest.raises(OutputError) as caught, atomic_file(path, overwrite=False):
        pass
    assert str(caught.value) == message
    with pytest.raises(OutputError) as caught, atomic_folder(path, overwrite=False):
        pass
    assert str(caught.value) == message


def test_a_folder_in_the_place_of_a_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.mkdir()
    with (
        pytest.raises(OutputError, match="cannot be written: Is a directory"),
        atomic_file(path, overwrite=True) as new,
    ):
        new.write_text("new")
    assert names(tmp_path) == ["out.csv"]


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
    with pytest.raises(OutputError, match="new cannot be written: No such file"):
        check_writable(tmp_path / "absent" / "new", overwrite=False)
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
