"""A pair: the row that everything else is made from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """A source text and its target text, with where they come from.

    `row` counts the rows of the table from 1, its header not counted. `document` and
    `start` (the source's offset in its document, in code points) are None where the table
    does not have them.
    """

    source: str
    target: str
    row: int
    document: str | None = None
    start: int | None = None
