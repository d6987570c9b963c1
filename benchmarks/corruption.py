"""Corruption of gold spans on purpose: dropped, shifted by a token, relabelled, or added.

A span is added where there was none: a token that begins with an upper-case letter or a digit, and
perhaps the next one, with a label drawn as often as it occurs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import cycle
from typing import TYPE_CHECKING, Literal, get_args

from annoseq.data.markup import Span, render, tighten
from annoseq.evaluation.span_matching import overlaps
from annoseq.tokenization.pretokenizer import build_pretokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.data.examples import Example

Place = tuple[int, int, int]
"""Index of a row, and offsets in it."""
Kind = Literal["dropped", "shifted", "relabelled", "added"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Corruption:
    """A corruption: the index of its row, the span as it was, and as it is, None for no span."""

    row: int
    old: Span | None
    new: Span | None

    def is_at(self, place: Place) -> bool:
        """Return True if a place overlaps the span as it was or as it is."""
        row, start, end = place
        spans = [span for span in (self.old, self.new) if span is not None]
        return row == self.row and any(span.start < end and start < span.end for span in spans)

    @property
    def kind(self) -> Kind:
        """Kind of the corruption."""
        if self.old is None or self.new is None:
            return "added" if self.old is None else "dropped"
        return "shifted" if self.old.label == self.new.label else "relabelled"


class Corruptor:
    """Corruption of the spans of examples, by a seeded random generator."""

    def __init__(self, examples: Sequence[Example], *, seed: int) -> None:
        self._examples = examples
        self._generator = random.Random(seed)
        self._spans = [list(example.tight_spans) for example in examples]
        self._labels = [span.label for spans in self._spans for span in spans]

    def corrupt(
        self, *, share: float, kinds: Sequence[Kind]
    ) -> tuple[list[Example], list[Corruption]]:
        """Corrupt a share of the spans, in equal parts by kind; return examples and corruptions."""
        places = [(row, span) for row, spans in enumerate(self._spans) for span in spans]
        chosen = self._generator.sample(places, round(share * len(places)) if kinds else 0)
        done = [
            self._apply(row, old, kind)
            for (row, old), kind in zip(chosen, cycle(kinds), strict=False)
        ]
        corrupted = [
            replace(example, spans=tuple(sorted(found)), target=render(example.source, found))
            for example, found in zip(self._examples, self._spans, strict=True)
        ]
        return corrupted, [corruption for corruption in done if corruption is not None]

    def _apply(self, row: int, old: Span, kind: Kind) -> Corruption | None:
        if kind == "added":
            return self._add()
        new: Span | None = None
        if kind == "relabelled":
            others = sorted(set(self._labels) - {old.label})
            new = Span(old.start, old.end, self._generator.choice(others))
        elif kind == "shifted":
            new = self._shifted(row, old)
        self._spans[row].remove(old)
        self._spans[row] += [] if new is None else [new]
        return Corruption(row, old, new)

    def _shifted(self, row: int, old: Span) -> Span | None:
        """Move an edge of a span by a token; None, so that it is dropped, if none can be moved."""
        text = self._examples[row].source
        tokens = tokenize(text)
        inside = [token for token in tokens if old.start <= token[0] and token[1] <= old.end]
        before = [start for start, end in tokens if end <= old.start]
        after = [end for start, end in tokens if start >= old.end]
        edges = [(before[-1], old.end)] if before else []
        edges += [(old.start, after[0])] if after else []
        if len(inside) > 1:
            edges += [(inside[1][0], old.end), (old.start, inside[-2][1])]
        spans = [tighten(text, Span(start, end, old.label)) for start, end in edges]
        others = [other for other in self._spans[row] if other != old]
        free = [s for s in spans if not any(overlaps(s, other) for other in others)]
        return self._generator.choice(free) if free else None

    def _add(self) -> Corruption | None:
        """Add a span to a row; None if ten rows that are drawn have no place for it."""
        for _ in range(10):
            row = self._generator.randrange(len(self._examples))
            text = self._examples[row].source
            places = tokenize(text)
            starts = [
                n for n, (s, _) in enumerate(places) if text[s].isupper() or text[s].isdigit()
            ]
            if not starts:
                continue
            first = self._generator.choice(starts)
            last = min(len(places) - 1, first + self._generator.randrange(2))
            label = self._generator.choice(self._labels)
            span = tighten(text, Span(places[first][0], places[last][1], label))
            if not any(overlaps(span, other) for other in self._spans[row]):
                self._spans[row].append(span)
                return Corruption(row, None, span)
        return None


def _is_name_like(first: str) -> bool:
    return first.isupper() or first.isdigit()


def tokenize(text: str) -> list[tuple[int, int]]:
    """Return the offsets of the tokens of a text that are not white space."""
    rule = build_pretokenizer()
    return [place for _, place in rule.pre_tokenize_str(text) if text[slice(*place)].strip()]
