"""Capabilities of a format, and the count of what a conversion loses."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from annoseq.errors import FormatError, count_noun
from annoseq.formats.documents import remove_crossing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from annoseq.formats.documents import Document, Mention


class ConversionLosses:
    """Counter of what a conversion loses or changes, by kind, with the first place of each kind.

    With `format_name`, losses are not accepted: the first one raises a `FormatError` that names
    the format. Notes are counted all the same.
    """

    def __init__(self, *, format_name: str | None = None) -> None:
        self._format_name = format_name
        # Number and first place of each kind, which is a noun and its description.
        self._counts: dict[tuple[str, str], tuple[int, str]] = {}

    def add(self, noun: str, description: str, *, where: str, count: int = 1) -> None:
        """Count a loss: a noun in the singular, and what reads after it ("score", "left out").

        Raises:
            FormatError: losses are not accepted.
        """
        if self._format_name:
            raise FormatError(
                f"{where}: {self._format_name} cannot hold this: {noun}s {description}. Choose "
                "a format that can, or add --lossy to accept such losses and count them."
            )
        self.note(noun, description, where=where, count=count)

    def note(self, noun: str, description: str, *, where: str, count: int = 1) -> None:
        """Count a change that loses no annotation, and is accepted always."""
        before, first = self._counts.get((noun, description), (0, where))
        self._counts[noun, description] = before + count, first

    def __len__(self) -> int:
        return sum(count for count, _ in self._counts.values())

    def lines(self) -> list[str]:
        """Return a line for each kind: the number of losses, and the place of the first."""
        return [
            f"{count_noun(count, noun)} {description} (first: {where})"
            for (noun, description), (count, where) in self._counts.items()
        ]


_SINGLE_WORD = re.compile(r"[^\s\x1c-\x1f\x00]+")


def accept_any(_: str) -> bool:
    """Return True: for formats that can hold every label or every text."""
    return True


def is_single_word(label: str) -> bool:
    """Return True if a label has no white space."""
    return _SINGLE_WORD.fullmatch(label) is not None


def is_not_blank(label: str) -> bool:
    """Return True if a label is more than white space."""
    return bool(label.strip())


def has_no_nul(text: str) -> bool:
    """Return True if a text has no NUL character: text files cannot hold one."""
    return "\x00" not in text


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatCapabilities:
    """Features that a format can hold, beside contiguous mentions that do not overlap."""

    scores: bool = False
    discontinuous: bool = False
    crossing: bool = False
    nested: bool = False
    supports_label: Callable[[str], bool] = accept_any
    supports_text: Callable[[str], bool] = accept_any


def drop_unsupported(
    documents: Iterable[Document], capabilities: FormatCapabilities, losses: ConversionLosses
) -> Iterator[Document]:
    """Reduce documents to what a format can hold; count the rest as losses.

    Raises:
        FormatError: something is lost, and losses are not accepted.
    """
    for document in documents:
        if not capabilities.supports_text(document.text):
            losses.add(
                "document", "with characters that it cannot hold, left out", where=document.name
            )
            continue
        mentions = [
            reduced
            for mention in document.mentions
            for reduced in _reduce_mention(mention, document, capabilities, losses)
        ]
        kept = _drop_overlaps(mentions, document, capabilities, losses)
        yield replace(document, mentions=tuple(kept))


def _reduce_mention(
    mention: Mention,
    document: Document,
    capabilities: FormatCapabilities,
    losses: ConversionLosses,
) -> list[Mention]:
    where = f"{document.name}: {mention.location()}"
    if not capabilities.supports_label(mention.label):
        losses.add("annotation", "with labels that it cannot hold, left out", where=where)
        return []
    if mention.score is not None and not capabilities.scores:
        losses.note("score", "left out: this format has no place for scores", where=where)
        mention = replace(mention, score=None)
    if len(mention.fragments) > 1 and not capabilities.discontinuous:
        losses.add("discontinuous annotation", "split into fragments", where=where)
        return mention.split_fragments()
    return [mention]


def _drop_overlaps(
    mentions: list[Mention],
    document: Document,
    capabilities: FormatCapabilities,
    losses: ConversionLosses,
) -> list[Mention]:
    """Leave out crossing or nested mentions if the format cannot hold them."""
    if capabilities.crossing:
        return mentions
    kept, removed = remove_crossing(tuple(mentions), keep_nested=capabilities.nested)
    kind = "crossing" if capabilities.nested else "overlapping or nested"
    for mention in removed:
        losses.add(f"{kind} annotation", "left out", where=f"{document.name}: {mention.location()}")
    return kept
