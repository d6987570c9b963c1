from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.command import TINY, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep tiny networks from waiting for a second core, which other processes may need."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="session")
def table(shelf: Path) -> Path:
    """Return a sample table of 40 rows."""
    path = shelf / "pairs.csv"
    assert run("sample", path, "--rows", 40).code == 0
    return path


@pytest.fixture(scope="session")
def data(shelf: Path, table: Path) -> Path:
    """Return the table, prepared."""
    path = shelf / "data"
    assert run("prepare", table, "--out", path).code == 0
    return path


@pytest.fixture(scope="session")
def short(shelf: Path) -> Path:
    """Return short pairs, prepared, which a range test is soon done with."""
    table, path = shelf / "short.csv", shelf / "short"
    names = ["Ames", "Bond", "Cole", "Dale", "Earl", "Ford"]
    rows = [f"Dr. {name},Dr. {{{{NAME}}}}{name}{{{{/NAME}}}}" for name in names]
    table.write_text("\n".join(["orig_text,annotated_text", *rows]) + "\n")
    assert run("prepare", table, "--out", path).code == 0
    return path


@pytest.fixture(scope="session")
def model(shelf: Path, table: Path) -> Path:
    """Return a model of the table."""
    path = shelf / "model"
    assert run("train", table, "--out", path, *TINY).code == 0
    return path
