"""Foreign markup: detection of its tag syntax, conversion to annoseq's markup and back."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from annoseq.data.alignment import align
from annoseq.data.markup import Span, parse, render
from annoseq.data.markup_templates import KNOWN_SYNTAXES, tag_syntax
from annoseq.data.pairs import read_pairs
from annoseq.data.table_rows import DEFAULT_DIALECT
from annoseq.errors import FormatError, MarkupError, MismatchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from annoseq.data.markup_templates import TagSyntax
    from annoseq.data.pairs import Pair
    from annoseq.data.table_rows import TextDialect

MarkupAligner = Callable[[str, str], list[Span]]
"""Spans of an original text from its annotated text; raises as `TagSyntax.align`."""
MarkupParser = Callable[[str], tuple[str, list[Span]]]
"""Original text and spans of an annotated text; raises `MarkupError`."""
MarkupWriter = Callable[[str, list[Span]], str | None]
"""Annotated text of an original text and spans, None if it would not be read back the same."""


def detect_tag_syntax(source: str, target: str) -> TagSyntax | None:
    """Return the syntax whose tags are the difference between target and source.

    White space and character references (`&amp;`) may differ.

    >>> detect_tag_syntax("Dr. Ames", "Dr. <NAME>Ames</NAME>").example
    '<LABEL>text</LABEL>'
    """
    if source == target:
        return None
    original = _remove_space(source)
    for syntax in KNOWN_SYNTAXES:
        stripped = syntax.strip_tags(target)
        if stripped != target and original in (
            _remove_space(stripped),
            _remove_space(html.unescape(stripped)),
        ):
            return syntax
    return None


def markup_aligner(example: str | None) -> MarkupAligner:
    """Return the aligner of a tag syntax, or one that tries annoseq's markup, then known syntaxes.

    No wrong syntax is accepted: the annotated text without its tags must be the original.
    """
    return _align_known if example is None else tag_syntax(example).align


def markup_parser(example: str | None) -> MarkupParser:
    """Return the parser of a tag syntax, or of annoseq's markup."""
    if example is None:
        return parse
    syntax = tag_syntax(example)
    return lambda annotated: parse(syntax.translate(annotated))


def markup_writer(example: str | None) -> MarkupWriter:
    """Return the writer of a tag syntax, or of annoseq's markup."""
    if example is None:
        return render
    syntax = tag_syntax(example)

    def write(text: str, spans: list[Span]) -> str | None:
        annotated = syntax.write(text, spans)
        try:
            is_reversible = parse(syntax.translate(annotated)) == (text, spans)
        except MarkupError:
            return None
        return annotated if is_reversible else None

    return write


def align_pairs(
    path: Path,
    *,
    source: str,
    target: str,
    markup: str | None,
    dialect: TextDialect = DEFAULT_DIALECT,
    note: NoteAttributes,
) -> Iterator[tuple[str, Pair, list[Span]]]:
    """Read a table of pairs in a foreign markup; yield the place, the pair and the spans of rows.

    `note` is called for rows whose tags have attributes that no span holds.

    Raises:
        TableError: the table cannot be read.
        FormatError: a row's annotated text is not its original plus tags.
    """
    aligner = markup_aligner(markup)
    pairs = read_pairs(
        path,
        source=source,
        target=target,
        delimiter=dialect.delimiter,
        encoding=dialect.encoding,
    )
    for pair in pairs:
        place = f"{pairs.name}: row {pair.row}"
        try:
            spans = aligner(pair.source, pair.target)
        except (MarkupError, MismatchError) as error:
            raise FormatError(
                f"{place}: {error} If its tags are of another kind, "
                "describe them, such as --markup '<LABEL>text</LABEL>'."
            ) from error
        note_attributes(pair.source, pair.target, note, where=place)
        yield place, pair, spans


class NoteAttributes(Protocol):
    """Counter of attributes of tags that are left out; such as `ConversionLosses.note`."""

    def __call__(self, noun: str, description: str, /, *, where: str, count: int) -> None:
        """Count them by noun and description, with the first place."""


def note_attributes(text: str, annotated: str, note: NoteAttributes, *, where: str) -> None:
    """Count the attributes of XML tags that are in the annotated text and not in the original."""
    if "=" in annotated and (count := _count_attributes(annotated) - _count_attributes(text)) > 0:
        note("attribute", "other than the type, left out", where=where, count=count)


_XML_TAG = re.compile(r"<[^\W\d][\w:./-]*(\s[^<>]*)>")
_ATTRIBUTE = re.compile(r"""\s(?!TYPE=|type=)[\w:.-]+=(?:"[^"]*"|'[^']*')""")


def _count_attributes(text: str) -> int:
    return sum(len(_ATTRIBUTE.findall(tag[1])) for tag in _XML_TAG.finditer(text))


def _align_known(text: str, annotated: str) -> list[Span]:
    try:
        return align(text, annotated).spans
    except (MarkupError, MismatchError):
        for syntax in KNOWN_SYNTAXES:
            try:
                if spans := syntax.align(text, annotated):
                    return spans
            except (MarkupError, MismatchError):
                continue
        raise


def _remove_space(text: str) -> str:
    return "".join(text.split())
