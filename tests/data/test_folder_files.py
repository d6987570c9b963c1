from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from annoseq.data.folder_files import describe_unsafe_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"12345")
    return folder


def test_regular_files_are_safe(folder: Path) -> None:
    (folder / "b").symlink_to("a")
    (folder / "c").symlink_to("gone")
    (folder / "d").symlink_to("d")
    assert describe_unsafe_file(folder, {"missing": 0, "a": 5, "b": None, "c": 0, "d": 0}) is None


def test_a_folder_that_is_a_link_is_read(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    (folder / "b").symlink_to("a")
    assert describe_unsafe_file(link, {"a": 5, "b": 5}) is None


def test_pipes_devices_and_folders_are_not(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "device").symlink_to("/dev/zero")
    (folder / "folder").mkdir()
    for name in ("pipe", "device", "folder"):
        problem = describe_unsafe_file(folder, {"a": None, name: None})
        assert problem == f"{name} is not a regular file"


@pytest.mark.parametrize("is_absolute", [False, True])
def test_a_link_out_of_the_folder_is_not(folder: Path, is_absolute: bool) -> None:
    (folder.parent / "secret").touch()
    (folder / "b").symlink_to(folder.parent / "secret" if is_absolute else "../secret")
    problem = describe_unsafe_file(folder, {"b": None})
    assert problem == "b is a link to a file outside the folder"


def test_a_large_file_is_not(folder: Path) -> None:
    problem = describe_unsafe_file(folder, {"a": 4})
    assert problem == "a has 5 bytes, and such a file has at most 4"
