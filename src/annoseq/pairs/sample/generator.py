"""Invented clinical notes with the personal data in them marked.

Each document is about one patient: header, body and signature of a note of one kind, filled
from one `Case` and lightly damaged by `noise`. The labels are those of the i2b2 2014
de-identification task. The corpus shows that annoseq works from end to end; a score on it
is no evidence of quality on real notes, because the sentences come from a few hundred templates.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from annoseq.errors import OptionError
from annoseq.pairs.markup import render
from annoseq.pairs.pair import Pair
from annoseq.pairs.sample.case import draw_case
from annoseq.pairs.sample.kinds import document_lines, load_kinds
from annoseq.pairs.sample.noise import add_noise
from annoseq.pairs.sample.template import fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faker import Faker

    from annoseq.pairs.markup import Span


def sample_pairs(rows: int, *, seed: int) -> Iterator[Pair]:
    """Write `rows` pairs of invented clinical text, the same for the same seed.

    A longer corpus begins with the rows of a shorter one. `start` counts from the start of
    the document, whose rows are joined by line ends; the last document may be cut short.
    Neither the machine, the Python version nor today's date changes the rows; another version
    of Faker may, because most names come from it.

    Raises:
        OptionError: `rows` or `seed` is negative.
    """
    for name, value in (("rows", rows), ("seed", seed)):
        if value < 0:
            raise OptionError(f"{name} is {value}. Give a whole number, 0 or more.")
    return _pairs(rows, seed)


def _pairs(rows: int, seed: int) -> Iterator[Pair]:
    from faker import Faker

    faker = Faker("en_US")
    faker.seed_instance(seed)
    rng = Random(seed)
    row = number = 0
    while row < rows:
        number += 1
        start = 0
        for text, spans in _document(rng, faker)[: rows - row]:
            row += 1
            yield Pair(text, render(text, spans), row, f"sample-{number:05}", start)
            start += len(text) + 1


def _document(rng: Random, faker: Faker) -> list[tuple[str, list[Span]]]:
    kind = rng.choice(load_kinds())
    case = draw_case(rng, faker, ages=kind.ages, is_planned=kind.is_planned)
    lines = document_lines(kind, case, rng)
    return [add_noise(*fill(line, case, rng), rng) for line in lines]
