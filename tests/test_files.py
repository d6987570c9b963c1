from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import OutputError
from annoseq.files import refuse_existing, replacing, replacing_folder

if TYPE_CHECKING:
    from pathlib import Path


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
    (folder / "old").touch()
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
    (folder / "old").touch()
    with pytest.raises(ZeroDivisionError), replacing(file, overwrite=True) as new:
        new.write_text(str(1 / 0))
    with pytest.raises(ZeroDivisionError), replacing_folder(folder, overwrite=True) as new:
        (new / "new").write_text(str(1 / 0))
    assert file.read_text() == "old"
    assert names(folder) == ["old"]
    assert names(tmp_path) == ["model", "out.csv"]


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(OutputError), replacing_folder(folder, overwrite=True) as new:
        shutil.rmtree(new)
    assert names(folder) == ["old"]
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
