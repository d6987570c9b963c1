"""Word lists of the corpus, one entry a line."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load_list(name: str) -> tuple[str, ...]:
    """Read a list; a line that begins with # is a comment."""
    text = (files(__package__) / "lists" / f"{name}.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))
