from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from annoseq.atomic_io import (
    refuse_existing,
    rehearse,
    rehearse_folder,
    replacing,
    replacing_folder,
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
    with replacing(path, overwrite=False) as new:
        new.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["out.csv"]


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with replacing_folder(path, overwrite=False) as new:
        (new / "config.json").write_text("{}")
        assert not path.exists()
    assert names(path) == ["config.json"]
    assert names(tmp_path) == ["model"]


def test_what_was_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    file, folder = tmp_path / "out.csv", tmp_path / "model"
    file.write_text("old")
    folder.mkdir()
    (folder / "config.json").touch()
    with replacing(file, overwrite=True) as new:
        new.write_text("new")
    with replacing_folder(folder, overwrite=True) as new:
        (new / "new").touch()
    assert file.read_text() == "new"
    assert names(folder) == ["new"]
    assert names(tmp_path) == ["model", "out.csv"]


def test_an_existing_path_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    message = f"{path} exists already. Choose another name, or add --overwrite to replace it."
    with pytest.raises(OutputError) as caught:
        refuse_existing(path, overwrite=False)
    assert str(caught.value) == message
    with pytest.raises(OutputError), replacing(path, overwrite=False):
        pass
    with pytest.raises(OutputError), replacing_folder(path, overwrite=False):
        pass
    assert path.read_text() == "old"


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    file, folder = tmp_path / "out.csv", tmp_path / "model"
    file.write_text("old")
    folder.mkdir()
    (folder / "config.json").touch()
    with pytest.raises(ZeroDivisionError), replacing(file, overwrite=True) as new:
        new.write_text(str(1 / 0))
    with pytest.raises(ZeroDivisionError), replacing_folder(folder, overwrite=True) as new:
        (new / "new").write_text(str(1 / 0))
    assert file.read_text() == "old"
    assert names(folder) == ["config.json"]
    assert names(tmp_path) == ["model", "out.csv"]


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").touch()
    with pytest.raises(OutputError), replacing_folder(folder, overwrite=True) as new:
        shutil.rmtree(new)
    assert names(folder) == ["config.json"]
    assert names(tmp_path) == ["model"]


def test_a_place_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "out.csv"
    message = (
        f"{path} cannot be written: No such file or directory. Nothing was changed; "
        "choose a folder that exists, is writable and has room."
    )
    with pytest.raises(OutputError) as caught, replacing(path, overwrite=False):
        pass
    assert str(caught.value) == message
    with pytest.raises(OutputError) as caught, replacing_folder(path, overwrite=False):
        pass
    assert str(caught.value) == message


def test_a_folder_in_the_place_of_a_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.mkdir()
    with (
        pytest.raises(OutputError, match="cannot be written: Is a directory"),
        replacing(path, overwrite=True) as new,
    ):
        new.write_text("new")
    assert names(tmp_path) == ["out.csv"]


def test_files_and_folders_have_ordinary_rights(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with replacing_folder(tmp_path / "model", overwrite=False):
        pass
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_this_package_did_not_write_is_spared(tmp_path: Path) -> None:
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
            rehearse_folder(path, overwrite=True)
        assert str(caught.value) == message
        with pytest.raises(OutputError) as caught, replacing_folder(path, overwrite=True):
            pass
        assert str(caught.value) == message
    assert names(tmp_path) == ["notes.txt", "thesis"]
    assert names(thesis) == ["chapter.tex"]


def test_an_empty_folder_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    rehearse_folder(tmp_path / "model", overwrite=True)
    with replacing_folder(tmp_path / "model", overwrite=True) as new:
        (new / "config.json").touch()
    assert names(tmp_path / "model") == ["config.json"]


def test_a_rehearsal_fails_as_the_writing_would(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    rehearse(tmp_path / "new", overwrite=False)
    with pytest.raises(OutputError, match="new cannot be written: Not a directory"):
        rehearse(tmp_path / "file" / "new", overwrite=False)
    with pytest.raises(OutputError, match="new cannot be written: No such file"):
        rehearse(tmp_path / "absent" / "new", overwrite=False)
    with pytest.raises(OutputError, match="exists already"):
        rehearse(tmp_path / "file", overwrite=False)
    with pytest.raises(OutputError, match="has no name of its own"):
        rehearse(tmp_path / "..", overwrite=True)
    assert names(tmp_path) == ["file"]


def piece_of(new: Path) -> Path:
    """Return a file of the result, whether that is a file or a folder."""
    return new / "piece" if new.is_dir() else new


def write_half(new: Path) -> None:
    piece_of(new).write_text("half")
    signal.raise_signal(signal.SIGINT)


def fill_the_disk(new: Path) -> None:
    piece_of(new).symlink_to("/dev/full")
    piece_of(new).write_text("whole")


@pytest.mark.parametrize("write", [replacing, replacing_folder])
@pytest.mark.parametrize("is_there", [False, True])
def test_an_interrupt_leaves_nothing_new(write: Writer, is_there: bool, tmp_path: Path) -> None:
    path = tmp_path / "out"
    if is_there:
        with write(path, overwrite=False) as new:
            (new if write is replacing else new / "config.json").write_text("old")
    with pytest.raises(KeyboardInterrupt), write(path, overwrite=True) as new:
        write_half(new)
    assert names(tmp_path) == (["out"] if is_there else [])
    old = path if write is replacing else path / "config.json"
    assert not is_there or old.read_text() == "old"


@pytest.mark.parametrize("write", [replacing, replacing_folder])
def test_a_full_disk_is_explained(write: Writer, tmp_path: Path) -> None:
    path = tmp_path / "out"
    with pytest.raises(OutputError) as caught, write(path, overwrite=False) as new:
        fill_the_disk(new)
    assert str(caught.value) == (
        f"{path} cannot be written: No space left on device. Nothing was changed; "
        "choose a folder that exists, is writable and has room."
    )
    assert names(tmp_path) == []


@pytest.mark.parametrize("write", [replacing, replacing_folder])
def test_a_file_in_the_place_of_a_folder_is_explained(write: Writer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    path = tmp_path / "file" / "out"
    with pytest.raises(OutputError) as caught, write(path, overwrite=False):
        pytest.fail("the block was entered")
    assert str(caught.value).startswith(f"{path} cannot be written: Not a directory. ")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place that nobody may write")
@pytest.mark.parametrize("write", [replacing, replacing_folder])
def test_a_place_that_is_read_only_is_explained(write: Writer) -> None:
    path = Path("/proc/self/out")
    message = f"^{path} cannot be written: .*\\. Nothing was changed; choose a folder that "
    with pytest.raises(OutputError, match=message), write(path, overwrite=False):
        pytest.fail("the block was entered")


@pytest.mark.parametrize("write", [replacing, replacing_folder])
def test_a_name_that_is_too_long_is_explained(write: Writer, tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    message = "cannot be written: File name too long. Nothing was changed; "
    with pytest.raises(OutputError, match=message), write(path, overwrite=False):
        pytest.fail("the block was entered")
    with pytest.raises(OutputError, match=message):
        refuse_existing(path, overwrite=False)
    assert names(tmp_path) == []


def test_an_error_with_its_own_explanation_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, replacing(tmp_path / "out", overwrite=False):
        raise OutputError("the inner one")
    assert str(caught.value) == "the inner one"


def test_an_error_of_the_system_without_a_reason_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with pytest.raises(OutputError) as caught, replacing(path, overwrite=False):
        raise OSError("as pyarrow raises them")
    assert str(caught.value).startswith(f"{path} cannot be written: as pyarrow raises them. ")


def test_a_file_can_take_the_place_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with replacing(tmp_path / "out", overwrite=True) as new:
        new.write_text("new")
    assert (tmp_path / "out").read_text() == "new"
    assert (tmp_path / "real").read_text() == "old"
