"""Pairs for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.config import DataConfig
from annoseq.data.examples import Example, parse_pair
from annoseq.data.pairs import Pair, Pairs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from annoseq.config import Task

EVERYTHING = DataConfig(min_frequency=1)
"""Settings with which no training token is unknown."""


def pairs_of(*rows: tuple[str, str], name: str = "t.csv") -> Pairs:
    """Make pairs without documents."""
    return Pairs([Pair(*row, number) for number, row in enumerate(rows, 1)], name=name)


def parsed(pairs: Iterable[Pair], task: Task = "annotate") -> tuple[Example, ...]:
    """Parse pairs, blank ones too."""
    if task == "annotate":
        return tuple(map(parse_pair, pairs))
    return tuple(
        Example(pair.source, pair.target, None, pair.row, pair.document, pair.start)
        for pair in pairs
    )


LETTERS = pairs_of(
    ("Dear Dr. Ames:", "Dear Dr. {{NAME}}Ames{{/NAME}}:"),
    ("Seen on 3/4.", "Seen on {{DATE}}3/4{{/DATE}}."),
    ("No fever.", "No fever."),
    ("Call  Eve {{NAME}}\r\n", "Call  {{NAME}}Eve{{/NAME}} {{\\NAME}}\r\n"),
    ("Pt. Wu, 31y", "Pt. {{NAME}}Wu{{/NAME}}, {{AGE}}31y{{/AGE}}"),
)
BROKEN = ("Dr. Ames", "Dr. {{NAME}}Ames")
