from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vectors.crafted import craft

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Return a small `.bin`; its words are Ames, of and naïve."""
    path = tmp_path / "v.bin"
    path.write_bytes(craft(["Ames", "of", "naïve"]))
    return path


@pytest.fixture
def text_vectors(tmp_path: Path) -> Path:
    """Return a small `.vec`; its words are Ames and naïve."""
    path = tmp_path / "v.vec"
    path.write_text("2 3\nAmes 1 2 3 \nnaïve -1 0.5 1e-3 \n", encoding="utf-8")
    return path
