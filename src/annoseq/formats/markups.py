"""Inline tags in the markup that is named, or in whichever of the known ones it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from annoseq.errors import FormatError, MarkupError, MismatchError
from annoseq.pairs.alignment import align
from annoseq.pairs.markup import Span, parse, render
from annoseq.pairs.markup_templates import EXAMPLES, template
from annoseq.pairs.pair import Pair
from annoseq.pairs.pairs import read_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Align = Callable[[str, str], list[Span]]
Parse = Callable[[str], tuple[str, list[Span]]]
Write = Callable[[str, list[Span]], str | None]


def aligner(markup: str | None) -> Align:
    """Return what finds the spans of an original text that its annotated text marks.

    Without a markup, this package's own is tried, then those that are known. A wrong one can
    not be taken: without its tags, the annotated text must be the original.
    """
    return _align_any if markup is None else template(markup).align


def parser(markup: str | None) -> Parse:
    """Return what parts an annotated text into the original and its spans."""
    if markup is None:
        return parse
    chosen = template(markup)
    return lambda annotated: parse(chosen.translate(annotated))


def writer(markup: str | None) -> Write:
    """Return what writes a text with its spans, or None where that would not be read back."""
    if markup is None:
        return render
    chosen = template(markup)

    def write(text: str, spans: list[Span]) -> str | None:
        written = chosen.write(text, spans)
        try:
            is_sure = parse(chosen.translate(written)) == (text, spans)
        except MarkupError:
            return None
        return written if is_sure else None

    return write


def retagged(path: Path, *, source: str, target: str, markup: str | None) -> Iterator[Pair]:
    """Read a table of pairs in another markup, and yield its rows in this package's own.

    Raises:
        TableError: the table cannot be read.
        FormatError: a row's annotated text is not its original plus tags.
    """
    find = aligner(markup)
    pairs = read_pairs(path, source=source, target=target)
    for pair in pairs:
        try:
            spans = find(pair.source, pair.target)
        except (MarkupError, MismatchError) as error:
            raise FormatError(
                f"{pairs.name}: row {pair.row}: {error} If its tags are of another kind, "
                "describe them, such as --markup '<LABEL>text</LABEL>'."
            ) from error
        yield Pair(pair.source, render(pair.source, spans), pair.row, pair.document, pair.start)


def _align_any(text: str, annotated: str) -> list[Span]:
    try:
        return align(text, annotated).spans
    except (MarkupError, MismatchError):
        for example in EXAMPLES:
            try:
                if spans := template(example).align(text, annotated):
                    return spans
            except (MarkupError, MismatchError):
                continue
        raise
