"""A document's texts without what was found in them.

Knows nothing of models or files: texts and finds come in, texts and replacements go out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, count
from typing import TYPE_CHECKING

from annoseq.deid.propagation import Values, outermost, propagate
from annoseq.deid.redaction import Document, Find, Part, Redacted, Replacement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.deid.phi_types import Table
    from annoseq.deid.redaction import Style
    from annoseq.deid.surrogates import SurrogateMaker

_MASKS = "*#█_~=+^°·"


@dataclass(frozen=True)
class Redactor:
    """Redacts documents, each by itself.

    `surrogates` is needed where `style` is `surrogate`. Spans below `min_score` are left alone;
    those without a score are not.
    """

    table: Table
    style: Style
    surrogates: SurrogateMaker | None = None
    min_score: float = 0.0
    propagates: bool = True

    def redact(self, document: Document) -> tuple[Redacted, ...]:
        """Replace what was found in a document; the results are in the order of its parts.

        A find within another goes with it, and crossing ones are replaced as one. Found values
        that propagate are replaced wherever they stand, and no replacement brings one back.

        Raises:
            OptionError: a label stands for no kind of thing.
        """
        wanted = replace(document, parts=tuple(map(self._wanted, document.parts)))
        if self.propagates:
            full, values = propagate(wanted, self.table)
        else:
            full, values = wanted, Values.of(wanted, self.table)
        merged = [outermost(part.finds) for part in full.parts]
        stand_in = self._stand_in(full, merged, values)
        return tuple(
            replace(
                _assembled(part, finds, stand_in, values, mask=_free_mask(full)),
                inner=sum(find.by != "propagated" for find in part.finds)
                - sum(find.by != "propagated" for find in finds),
            )
            for part, finds in zip(full.parts, merged, strict=True)
        )

    def _wanted(self, part: Part) -> Part:
        """Leave out what is below the score, kept, or white space, and tighten the rest."""
        tight = (_tightened(part.text, find) for find in part.finds)
        return replace(
            part,
            finds=tuple(
                find
                for find in tight
                if find.start < find.end
                and self.table.kind(find.label) != "keep"
                and (find.score is None or find.score >= self.min_score)
            ),
        )

    def _stand_in(
        self, document: Document, merged: Sequence[Sequence[Find]], values: Values
    ) -> Callable[[Find, str], tuple[str | None, bool]]:
        """Return what gives a find's replacement, and whether it is made up; None is a mask."""

        def label(find: Find) -> str | None:
            written = f"[{find.label}]"
            return None if values.are_in(written) else written

        if self.style == "mask":
            return lambda find, value: (None, False)
        if self.style == "label" or self.surrogates is None:
            return lambda find, value: (label(find), False)
        pieces = [
            (self.table.kind(find.label), part.text[find.start : find.end])
            for part, finds in zip(document.parts, merged, strict=True)
            for find in finds
        ]
        surrogates = self.surrogates.begin(document.id, pieces, values)

        def invent(find: Find, value: str) -> tuple[str | None, bool]:
            made = surrogates.replace(self.table.kind(find.label), value)
            return (label(find), False) if made is None else (made, True)

        return invent


def _tightened(text: str, find: Find) -> Find:
    piece = text[find.start : find.end]
    start = find.start + len(piece) - len(piece.lstrip())
    return replace(find, start=start, end=max(start, find.start + len(piece.rstrip())))


def _free_mask(document: Document) -> str:
    """Choose a character to mask with that is in none of the found pieces."""
    used = {
        character
        for part in document.parts
        for find in part.finds
        for character in part.text[find.start : find.end]
    }
    others = (chr(code) for code in count(0x2580))
    return next(one for one in chain(_MASKS, others) if one not in used)


def _masked(value: str, mask: str) -> str:
    """Mask all but the line ends, so that the lines stay where they are."""
    return "".join(one if one in "\r\n" else mask for one in value)


def _assembled(
    part: Part,
    finds: Sequence[Find],
    stand_in: Callable[[Find, str], tuple[str | None, bool]],
    values: Values,
    *,
    mask: str,
) -> Redacted:
    """Put the replacements in.

    A replacement may make a found value with what stands beside it: then a mask takes its place.
    """
    masked: set[int] = set()
    while True:
        done = _joined(part, finds, stand_in, masked=masked, mask=mask)
        places = list(done.replacements)
        touching = {
            index
            for found in values.occurrences(done.text)
            for index, one in enumerate(places)
            if one.start < found.end and found.start < one.end
        }
        if touching <= masked:
            return done
        masked |= touching


def _joined(
    part: Part,
    finds: Sequence[Find],
    stand_in: Callable[[Find, str], tuple[str | None, bool]],
    *,
    masked: set[int],
    mask: str,
) -> Redacted:
    pieces: list[str] = []
    replacements: list[Replacement] = []
    cursor = length = 0
    for index, find in enumerate(finds):
        value = part.text[find.start : find.end]
        new, is_made_up = (None, False) if index in masked else stand_in(find, value)
        text = _masked(value, mask) if new is None else new
        length += find.start - cursor
        pieces += [part.text[cursor : find.start], text]
        replacements.append(Replacement(find, length, length + len(text), value, text, is_made_up))
        length += len(text)
        cursor = find.end
    return Redacted(part.id, "".join([*pieces, part.text[cursor:]]), tuple(replacements))


def leftovers(document: Document, redacted: Sequence[Redacted], table: Table) -> Iterator[Find]:
    """Find the propagating values of a document in what was made of it."""
    values = Values.of(document, table)
    for one in redacted:
        yield from values.occurrences(one.text)
