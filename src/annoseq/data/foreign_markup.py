"""Foreign tag syntaxes: detection, conversion to annoseq markup and back."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from annoseq.data.alignment import align
from annoseq.data.markup import Span, parse, render
from annoseq.data.markup_templates import EXAMPLES, tag_syntax
from annoseq.data.pairs import Pair, read_pairs
from annoseq.errors import FormatError, MarkupError, MismatchError

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
    return _align_any if markup is None else tag_syntax(markup).align


def parser(markup: str | None) -> Parse:
    """Return what parts an annotated text into the original and its spans."""
    if markup is None:
        return parse
    chosen = tag_syntax(markup)
    return lambda annotated: parse(chosen.translate(annotated))


def writer(markup: str | None) -> Write:
    """Return what writes a text with its spans, or None where that would not be read back."""
    if markup is None:
        return render
    chosen = tag_syntax(markup)

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
                if spans := tag_syntax(example).align(text, annotated):
                    return spans
            except (MarkupError, MismatchError):
                continue
        raise


_NESTING = 50
"""How many tags inside one another are removed of the syntaxes without closing tags."""


@dataclass(frozen=True)
class Syntax:
    """A way to write tags: a pattern, and what removes it when it is put in its place."""

    example: str
    pattern: str
    text: str = ""

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def strip(self, annotated: str) -> str:
        """Remove every tag, from the innermost out."""
        for _ in range(_NESTING):
            stripped = self._regex.sub(self.text, annotated)
            if stripped == annotated:
                break
            annotated = stripped
        return annotated


_LABEL = r"[^\W\d][\w:.-]*"
SYNTAXES = (
    Syntax("<LABEL>text</LABEL>", rf"</?{_LABEL}(?:\s[^<>]*)?>"),
    Syntax("[text](LABEL)", r"\[([^\[\]]*)\]\([^\s()]+\)", r"\1"),
    Syntax("[LABEL]text[/LABEL]", rf"\[({_LABEL})\]([^\[\]]*)\[/\1\]", r"\2"),
    Syntax("[LABEL text]", rf"\[{_LABEL}\s([^\[\]]*)\]", r"\1"),
    Syntax("{LABEL}text{/LABEL}", rf"(?<!\{{)\{{/?{_LABEL}\}}(?!\}})"),
)


def detect_tag_syntax(source: str, target: str) -> Syntax | None:
    """Return the syntax whose tags are what makes the target another text than the source.

    White space and character references (`&amp;`) may differ.

    >>> recognise("Dr. Ames", "Dr. <NAME>Ames</NAME>").example
    '<LABEL>text</LABEL>'
    """
    if source == target:
        return None
    original = _bare(source)
    for syntax in SYNTAXES:
        stripped = syntax.strip(target)
        if stripped != target and original in (_bare(stripped), _bare(html.unescape(stripped))):
            return syntax
    return None


def _bare(text: str) -> str:
    return "".join(text.split())
