r"""Foreign tag syntaxes, described by an example, and their conversion to annoseq's markup.

`<LABEL>text</LABEL>` is a template: the part before `text` opens a span, the part after it closes
the span, and LABEL stands for any label. These syntaxes have no escapes, so that a bracket may be
a tag or text; `TagSyntax.align` tells them apart by the original text.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.alignment import align
from annoseq.data.markup import Span, closing, escape, insert_tags, opening
from annoseq.errors import MarkupError, MismatchError, OptionError, count_noun

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLACEHOLDER = re.compile(r"\.\.\.|text|TEXT")
_LABEL = r"(?P<label>[^\W\d][\w:./-]*?)"
"""As short as possible: the characters after it in the tag end it."""
_XML = ("<LABEL>", "</LABEL>")
_XML_OPENING = rf"<{_LABEL}(?P<attributes>\s[^<>]*)?>"
_TYPE = re.compile(r"""\s(?:TYPE|type)=(?:"([^"]*)"|'([^']*)')""")
_STATES_PER_CHARACTER = 2
"""Limit of the search for an alignment."""
_MAX_DEPTH = 20
"""Limit of the tags that may be open at once in that search."""
_MAX_NESTING = 50
"""Limit of the nested tags that `strip_tags` removes from the inside out."""


@dataclass(frozen=True)
class TagSyntax:
    """A syntax of inline tags. Make one from an example with `tag_syntax`.

    `tagged` is a regular expression of a tag, or of a text with its tags, and `content` its
    replacement without the tags: they detect the syntax where no label is known.
    """

    example: str
    before: str
    after: str
    tagged: str = ""
    content: str = ""

    @cached_property
    def _tags(self) -> re.Pattern[str]:
        closing_tag = self._closing.pattern.replace("?P<label>", "?P<label_>")
        both = [f"(?P<opening>{self._opening.pattern})", f"(?P<closing>{closing_tag})"]
        # Either may be a prefix of the other: the longer one is tried first.
        return re.compile("|".join(both if len(self.before) >= len(self.after) else both[::-1]))

    @cached_property
    def _opening(self) -> re.Pattern[str]:
        return re.compile(_XML_OPENING if self.is_xml else _tag_pattern(self.before))

    @cached_property
    def _closing(self) -> re.Pattern[str]:
        return re.compile(_tag_pattern(self.after))

    @cached_property
    def _tagged(self) -> re.Pattern[str]:
        return re.compile(self.tagged)

    @property
    def is_xml(self) -> bool:
        """True if tags are XML elements, which may have a type."""
        return (self.before, self.after) == _XML

    @property
    def _names_twice(self) -> bool:
        return "LABEL" in self.before and "LABEL" in self.after

    def strip_tags(self, annotated: str) -> str:
        """Remove every tag of a known syntax, from the innermost out."""
        for _ in range(_MAX_NESTING):
            stripped = self._tagged.sub(self.content, annotated)
            if stripped == annotated:
                break
            annotated = stripped
        return annotated

    def translate(self, annotated: str) -> str:
        """Rewrite an annotated text of this syntax in annoseq's markup.

        >>> tag_syntax("[text](LABEL)").translate("Dr. [Ames](NAME)")
        'Dr. {{NAME}}Ames{{/NAME}}'
        """
        pieces: list[str] = []
        opened: list[_TranslatedTag] = []
        cursor = 0
        for match in self._tags.finditer(annotated):
            pieces.append(escape(annotated[cursor : match.start()]))
            cursor = match.end()
            if match["opening"] is not None:
                opened.append(_TranslatedTag(len(pieces), *self._labels(match)))
                label = opened[-1].typed_label
                pieces.append(opening(label) if label and self._names_twice else escape(match[0]))
                continue
            written = match.groupdict().get("label_")
            if opened and (not self._names_twice or opened[-1].label == written):
                tag = opened.pop()
                label = tag.typed_label or written or ""
                pieces[tag.piece] = opening(label)
                pieces.append(closing(label))
            else:
                is_tag = self._names_twice and written
                pieces.append(closing(written) if is_tag and written else escape(match[0]))
        pieces.append(escape(annotated[cursor:]))
        return "".join(pieces)

    def write(self, text: str, spans: Iterable[Span]) -> str:
        """Write a text with its well-nested spans in this syntax, which has no escapes."""
        return insert_tags(
            text,
            spans,
            open_tag=lambda label: self.before.replace("LABEL", label),
            close_tag=lambda label: self.after.replace("LABEL", label),
            escape_text=str,
        )

    def align(self, text: str, annotated: str) -> list[Span]:
        """Return the spans of `text` that `annotated` tags.

        White space beside tags and character references (`&amp;`) may differ. Brackets of the
        original text are told apart from tags.

        Raises:
            MarkupError: the tags are not well nested.
            MismatchError: the annotated text without its tags is another text.
        """
        # Without a bracket in the original that could be a tag, no search is needed.
        is_ambiguous = self._tags.search(text) is not None
        if is_ambiguous and (spans := self._search_alignment(text, annotated)) is not None:
            return spans
        translated = self.translate(annotated)
        try:
            return align(text, translated).spans
        except (MarkupError, MismatchError):
            # One tag of a described syntax may also be a prefix of another.
            if not is_ambiguous and (spans := self._search_alignment(text, annotated)) is not None:
                return spans
            if self.is_xml and "&" in annotated:
                return align(text, html.unescape(translated)).spans
            raise

    def _labels(self, match: re.Match[str]) -> tuple[str | None, str | None]:
        """Return the label of an opening tag as it is written, and with its type."""
        label = match.groupdict().get("label")
        attribute = _TYPE.search(match["attributes"] or "") if self.is_xml else None
        value = (attribute[1] or attribute[2]) if attribute else None
        return label, f"{label}:{value}" if value and value != label else label

    def _search_alignment(self, text: str, annotated: str) -> list[Span] | None:
        """Search for tags whose removal leaves exactly `text`; return None if there are none.

        Depth-first search over states (positions in both texts and open tags), each visited once.
        A tag is preferred to text that looks like one.
        """
        stack = [_SearchState(0, 0, None, None)]
        visited: set[tuple[int, int, _OpenTag | None]] = set()
        limit = _STATES_PER_CHARACTER * (len(annotated) + 1_000)
        while stack and len(visited) < limit:
            state = stack.pop()
            at, position, opened, spans = state
            if (at, position, opened) in visited:
                continue
            visited.add((at, position, opened))
            if at == len(annotated):
                if position == len(text) and opened is None:
                    return _in_opening_order(spans)
                continue
            if text[position : position + 1] == annotated[at]:
                stack.append(_SearchState(at + 1, position + 1, opened, spans))
            stack += self._states_after_tag(state, annotated)
        return None

    def _states_after_tag(self, state: _SearchState, annotated: str) -> list[_SearchState]:
        """Return the states that follow a tag at the current position, the likeliest last."""
        at, position, opened, spans = state
        states: list[_SearchState] = []
        if (match := self._opening.match(annotated, at)) and (
            opened is None or opened.depth < _MAX_DEPTH
        ):
            depth = opened.depth + 1 if opened else 1
            tag = _OpenTag(opened, *self._labels(match), position, depth)
            states.append(_SearchState(match.end(), position, tag, spans))
        if opened and (match := self._closing.match(annotated, at)):
            written = match.groupdict().get("label")
            is_same_label = not self._names_twice or opened.label == written
            if is_same_label and opened.start < position:
                span = Span(opened.start, position, opened.typed_label or written or "")
                closed = _LinkedSpan(spans, span)
                states.append(_SearchState(match.end(), position, opened.outer, closed))
        return states


class _TranslatedTag(NamedTuple):
    """An open tag while an annotated text is translated."""

    piece: int  # its index among the pieces
    label: str | None  # as it is written; None if the closing tag has it
    typed_label: str | None


@dataclass(frozen=True, slots=True, eq=False)
class _OpenTag:
    """An open tag of the search, linked to the enclosing one; compared by identity, for speed."""

    outer: _OpenTag | None
    label: str | None
    typed_label: str | None
    start: int
    depth: int


class _LinkedSpan(NamedTuple):
    """A closed span of the search, linked to those before it."""

    before: _LinkedSpan | None
    span: Span


class _SearchState(NamedTuple):
    at: int  # in the annotated text
    position: int  # in the original text
    opened: _OpenTag | None
    spans: _LinkedSpan | None


def _in_opening_order(linked: _LinkedSpan | None) -> list[Span]:
    spans: list[Span] = []
    while linked:
        spans.append(linked.span)
        linked = linked.before
    # Spans are closed inside out: reversed, the outer one of two with the same range comes first.
    return sorted(spans, key=lambda span: (span.start, -span.end))


def _tag_pattern(tag: str) -> str:
    ends_with_label = tag.endswith("LABEL")
    return re.escape(tag).replace("LABEL", _LABEL) + (r"(?![\w:./-])" if ends_with_label else "")


def tag_syntax(example: str, *, tagged: str = "", content: str = "") -> TagSyntax:
    """Make a tag syntax from an example with `LABEL` and `text` (or `...`).

    Raises:
        OptionError: it lacks one of them, or has nothing before or after the text.
    """
    placeholders = list(_PLACEHOLDER.finditer(example))
    if len(placeholders) != 1:
        raise OptionError(
            f"found the markup {example!r}, which has {count_noun(len(placeholders), 'place')} for "
            "the text. Give an example with LABEL and one text, such as <LABEL>text</LABEL>."
        )
    before, after = example[: placeholders[0].start()], example[placeholders[0].end() :]
    if not before or not after or max(before.count("LABEL"), after.count("LABEL")) != 1:
        raise OptionError(
            f"found the markup {example!r}, where tags are expected on both sides of the text, "
            "with LABEL in one of them or in each. Give an example such as [LABEL text]."
        )
    return TagSyntax(example, before, after, tagged, content)


_NAME = r"[^\W\d][\w:.-]*"
KNOWN_SYNTAXES = (
    tag_syntax("<LABEL>text</LABEL>", tagged=rf"</?{_NAME}(?:\s[^<>]*)?>"),
    tag_syntax("[text](LABEL)", tagged=r"\[([^\[\]]*)\]\([^\s()]+\)", content=r"\1"),
    tag_syntax("[LABEL]text[/LABEL]", tagged=rf"\[({_NAME})\]([^\[\]]*)\[/\1\]", content=r"\2"),
    tag_syntax("[LABEL text]", tagged=rf"\[{_NAME}\s([^\[\]]*)\]", content=r"\1"),
    tag_syntax("{LABEL}text{/LABEL}", tagged=rf"(?<!\{{)\{{/?{_NAME}\}}(?!\}})"),
)
"""Syntaxes that are detected, and read without being described; the first one that fits wins."""
